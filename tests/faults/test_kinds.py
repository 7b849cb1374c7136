"""A short round of every kind of fault that this machine can play, and of the controls that are quick.

`make test` plays one or two kinds of each family, `make test-long` the others.
"""

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness.catalogue import KINDS
from tests.faults.harness.farm import Farm
from tests.faults.harness.stage import SOUND, Kind, Mutants, episode

CONTROL_TRIES = 4
SLOW_CONTROLS = {
    *("server_kill_after_insert", "server_stop", "till_stop", "everything_at_once", "delay", "slow_reader", "trickle"),
    *(
        "rubbish",
        "silent_peers",
        "descriptors",
        "packet_loss",
        "unplugged",
        "half_open",
        "flush_eio",
        "write_eio",
        "locked",
    ),
}
"""They take seconds each, most of them to find out that nothing moves any more; `make soak` plays them first."""


OFTEN = {
    *("server_kill", "till_kill", "cut_mid_frame", "cut_before_answer", "duplicate", "same_id_other_body"),
    *("restored_outbox", "old_backup_restored", "disk_full", "power_cut"),
}
"""What `make test` plays."""


def in_turn(names: set[str], often: set[str]) -> list[object]:
    """Parameters of a test: `names`, of which those that are not in `often` are left to `make test-long`."""
    return [pytest.param(name, marks=[] if name in often else [pytest.mark.long]) for name in sorted(names)]


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    farm = Farm()
    yield farm
    farm.close()


def play(kind: Kind, farm: Farm, folder: Path, mutants: Mutants, number: int = 0) -> bool:
    """Play one short episode; True where every promise was kept."""
    if (reason := kind.missing()) is not None:
        pytest.skip(reason)
    rng = random.Random(zlib.crc32(kind.name.encode()) + number)
    stage = episode(kind, farm, rng, folder / str(number), strikes=1, mutants=mutants)
    print(kind.name, stage.injected, stage.verdict)
    return stage.verdict.is_clean


@pytest.mark.parametrize("name", in_turn(set(KINDS), OFTEN))
def test_nothing_is_lost_doubled_or_unbalanced(name: str, farm: Farm, tmp_path: Path) -> None:
    assert play(KINDS[name], farm, tmp_path, SOUND)


@pytest.mark.parametrize("name", in_turn(set(KINDS) - SLOW_CONTROLS, {"cut_before_answer"}))
def test_a_variant_that_breaks_its_promise_is_caught(name: str, farm: Farm, tmp_path: Path) -> None:
    kind = KINDS[name]
    tries = range(CONTROL_TRIES)
    assert not all(play(kind, farm, tmp_path, kind.control, number) for number in tries), f"{kind.control} was missed"


def test_the_lists_name_known_kinds() -> None:
    assert KINDS.keys() >= SLOW_CONTROLS | OFTEN
