"""The kit for integrators: careful till programs pass, and each of the usual mistakes is found."""

import itertools
import json
import random
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from pos_client.cli import main
from pos_client.commands import faultkit
from pos_client.faultkit import harness
from pos_client.faultkit.cases import CASES
from pos_client.faultkit.harness import Tally, run_case
from pos_client.faultkit.program import CannotRun, Program

CASE = {case.name: case for case in CASES}
VENDOR = [sys.executable, str(Path(__file__).parents[1] / "support" / "vendor_till.py")]
LIBRARY = """
import itertools, os, sys, time
sys.path.insert(0, os.environ["CHECKOUT"])
from pos_client import PosClient
terminal, outbox = os.environ["TILLWIRE_TERMINAL"], os.environ["TILLWIRE_OUTBOX"]
till = PosClient(sys.argv[1], terminal=terminal, location="shop", outbox=outbox)
for number in itertools.count(1):
    sale = till.sell([("ESPRESSO-1KG", 1)], reference=f"{os.getpid()}-{number}")
    print("SOLD", sale.id, sale.reference, flush=True)
    time.sleep(0.02)
"""


SALES_A_SECOND = 40


class Watched(Program):
    """The till program that was started last."""

    last: ClassVar[Program]

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(command, folder, environment)
        Watched.last = self


def sales_clock() -> float:
    """Seconds as the till program's sales tell them, so that a slow machine changes nothing."""
    return (len(Watched.last.claims()) + len(Watched.last.malformed_lines())) / SALES_A_SECOND


@pytest.fixture(autouse=True)
def time_passes_with_sales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "Program", Watched)
    monkeypatch.setattr(faultkit, "run_case", partial(run_case, clock=sales_clock))


def tally(
    case: str, command: list[str], folder: Path, *, trouble_seconds: float = 2.0, patience_seconds: float = 30.0
) -> Tally:
    return run_case(
        CASE[case],
        command,
        folder / case,
        random.Random(7),
        trouble_seconds=trouble_seconds,
        patience_seconds=patience_seconds,
        clock=sales_clock,
    )


@pytest.mark.parametrize("case", ["cut_answer", "away", "fenced", pytest.param("everything", marks=pytest.mark.long)])
def test_a_careful_till_without_the_library_passes(case: str, tmp_path: Path) -> None:
    found = tally(case, [*VENDOR, "good"], tmp_path)
    assert found.is_good, found
    assert found.faults


@pytest.mark.parametrize("case", [pytest.param("kill_unanswered", marks=pytest.mark.long), "everything"])
def test_a_till_on_the_library_passes(case: str, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKOUT", str(root))
    found = tally(case, [sys.executable, "-c", LIBRARY, "{hq}"], tmp_path)
    assert found.is_good, found


MISTAKES = [
    ("forgets", "drop_request", "lost"),
    pytest.param("claims_first", "kill", "lost", marks=pytest.mark.long),
    ("new_ids", "drop_answer", "doubled"),
    ("inexact", "calm", "refused"),
]


@pytest.mark.parametrize(("mode", "case", "what"), MISTAKES)
def test_a_careless_till_is_found_out(mode: str, case: str, what: str, tmp_path: Path) -> None:
    found = tally(case, [*VENDOR, mode], tmp_path, trouble_seconds=1.5, patience_seconds=0.7)
    assert not found.is_good
    assert getattr(found, what) > 0, found


def test_a_till_that_claims_nothing_is_told_how_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "START_SECONDS", 0.1)
    command = [*VENDOR, "mute"]
    found = run_case(
        CASE["calm"], command, tmp_path / "calm", random.Random(7), trouble_seconds=0.1, patience_seconds=1
    )
    assert not found.is_good
    assert len(found.notes) == 1
    assert found.notes[0].startswith("the program never printed SOLD")


def test_a_till_whose_claims_are_no_claims_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "START_SECONDS", 0.1)
    found = tally("calm", [*VENDOR, "nonsense"], tmp_path, trouble_seconds=0.5)
    assert not found.is_good
    assert any(line.startswith("'SOLD seventeen' is not a claim") for line in found.notes)


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    line = "import uuid; print('SOLD', uuid.uuid4(), flush=True)"
    found = tally("calm", [sys.executable, "-c", line], tmp_path, trouble_seconds=0.1, patience_seconds=0.1)
    assert found.sold > 1
    assert found.lost == found.sold


def test_a_command_that_does_not_exist_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="'no-such-till' cannot be started"):
        tally("calm", ["no-such-till"], tmp_path)


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pos-client", "faultkit", "--seed", "3", *arguments])
    return main()


def test_the_exit_code_and_the_table_tell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--case", "calm", "--seconds", "0.5", "--folder", str(tmp_path)]
    assert command_line(monkeypatch, *options, "--", *VENDOR, "good") == 0
    assert "Every sale arrived exactly once." in capsys.readouterr().out
    options[-1] = str(tmp_path / "again")
    assert command_line(monkeypatch, *options, "--", *VENDOR, "inexact") == 1
    printed = capsys.readouterr().out
    assert "Sales were lost, doubled or refused. Seed 3" in printed
    assert "calm: refused: $.lines[0].quantity" in printed


def test_programs_get_json_and_minutes_go_round_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ticks = itertools.count(0, 0.5)
    monkeypatch.setattr(faultkit, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    options = ["--case", "calm", "--seconds", "0.5", "--minutes", "0.02", "--folder", str(tmp_path), "--json"]
    assert command_line(monkeypatch, *options, "--", *VENDOR, "good") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["good"]
    assert len(result["cases"]) == 3
    assert all(case["sold"] <= case["arrived"] for case in result["cases"])
