"""The soak itself: what it counts, what it prints, and that it cannot be clean by accident."""

import fcntl
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults import soak
from tests.faults.harness import disk, facilities, link
from tests.faults.harness.farm import Farm, IdleFarm
from tests.faults.harness.stage import SOUND, Kind, Mutants, Stage

BROKEN = Mutants(procedure=True)


def play(stage: Stage) -> None:
    """Loses a posting exactly where it is broken on purpose."""
    stage.injected += 2
    stage.verdict.acknowledged += 10
    stage.verdict.lost += stage.mutants != SOUND


def lose(stage: Stage) -> None:
    stage.injected += 1
    stage.verdict.lost += 1


def miss(stage: Stage) -> None:
    stage.injected += 1


def crash(stage: Stage) -> None:
    raise OSError("the harness has an accident")


@pytest.fixture(autouse=True)
def idle_farm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is played here takes no process."""
    monkeypatch.setattr(soak, "Farm", IdleFarm)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    return Run(monkeypatch, tmp_path)


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self._path = folder / "result.json"

    def __call__(self, *kinds: Kind) -> int:
        self._monkeypatch.setattr(soak, "KINDS", {kind.name: kind for kind in kinds})
        return soak.main(["--minutes", "0", "--seed", "1", "--json", str(self._path)])

    def row(self) -> dict[str, object]:
        row: dict[str, object] = json.loads(self._path.read_text())["rows"][0]
        return row


def test_a_sound_kind_with_a_control_that_is_caught_is_clean(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "Farm", Farm)
    assert run(Kind("sound", play, BROKEN), Kind("on copies", play, BROKEN, on_copies=True)) == 0
    printed = capsys.readouterr().out
    for line in (["sound", "2", "10", "0", "0", "0", "0", "caught"], ["all real faults", "2", "10", "0"]):
        assert any([cell.strip() for cell in row.split("│")][: len(line)] == line for row in printed.splitlines())


UNCLEAN = [("lost", lose, "lost"), ("control missed", miss, "control"), ("accident", crash, "others")]


@pytest.mark.parametrize(("name", "wrong", "where"), UNCLEAN, ids=[case[0] for case in UNCLEAN])
def test_what_is_not_clean_is_an_exit_code(name: str, wrong: object, where: str, run: Run) -> None:
    assert run(Kind(name, wrong, BROKEN)) == 1  # type: ignore[arg-type]
    row = run.row()
    found = row | dict(row["verdict"])  # type: ignore[call-overload]
    assert found[where] == (False if where == "control" else found[where])
    assert where == "control" or found[where]


def test_a_kind_that_the_machine_cannot_play_is_named_with_the_reason(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Kind("on the moon", play, BROKEN, (lambda: "needs a rocket",)), Kind("sound", play, BROKEN)) == 0
    assert "not played: on the moon: needs a rocket" in capsys.readouterr().out


def _fail(*_: object) -> None:
    raise subprocess.CalledProcessError(1, "mount", stderr=b"not permitted\n")


def _refuse(*_: object) -> None:
    raise OSError(25, "Inappropriate ioctl for device")


REASONS = [
    (facilities.loop_disk, os, "geteuid", lambda: 1000, "needs root"),
    (facilities.loop_disk, shutil, "which", lambda _: None, "needs mkfs.ext4"),
    (facilities.loop_disk, disk, "_run", _fail, "cannot mount a loop device: not permitted"),
    (facilities.loop_disk, fcntl, "ioctl", _refuse, "cannot shut a file system down: Inappropriate"),
    (facilities.error_trigger, facilities, "loop_disk", lambda: "needs a disk", "needs a disk"),
    (facilities.error_trigger, disk, "ALL_EXT4", Path("no-such-folder"), "this kernel's ext4 has no"),
    (facilities.compiler, shutil, "which", lambda _: None, "needs a C compiler"),
    (facilities.namespaces, os, "geteuid", lambda: 1000, "needs root"),
    (facilities.namespaces, shutil, "which", lambda _: None, "needs iproute2"),
    (facilities.namespaces, link, "_ip", _fail, "cannot make network namespaces"),
]


@pytest.mark.needs_root
@pytest.mark.parametrize(("facility", "owner", "name", "instead", "reason"), REASONS)
def test_a_facility_that_is_missing_is_said_to_be(
    facility: object, owner: object, name: str, instead: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = facility.__wrapped__()  # type: ignore[attr-defined]
    if usual is not None:
        pytest.skip(usual)
    monkeypatch.setattr(owner, name, instead)
    assert str(facility.__wrapped__()).startswith(reason)  # type: ignore[attr-defined]


def order(folder: Path) -> list[str]:
    """The folders of one round of a soak."""
    played: list[str] = []
    kinds = [Kind(str(number), lambda stage: played.append(stage.folder.name), BROKEN) for number in range(6)]
    playing = soak.Soak(kinds, 5, 1, folder)
    playing.play(until=0.0)
    playing.close()
    return played


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    first = order(tmp_path)
    assert first == order(tmp_path)
    assert random.Random(5).sample(range(6), 6) == [int(name.partition("-")[0]) for name in first]
