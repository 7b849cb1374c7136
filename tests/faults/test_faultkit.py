"""The kit for integrators: careful till programs pass, and each of the usual mistakes is found."""

import json
import random
import sys
from pathlib import Path

import pytest

from pos_client.cli import main
from pos_client.faultkit.harness import CASES, CannotRun, Tally, run_case

CASE = {case.name: case for case in CASES}
VENDOR = [sys.executable, str(Path(__file__).parents[1] / "support" / "vendor_till.py")]
LIBRARY = """
import itertools, os, sys, time
sys.path.insert(0, os.environ["CHECKOUT"])
from pos_client import PosClient
till = PosClient(sys.argv[1], terminal=os.environ["TILLWIRE_TERMINAL"], outbox=os.environ["TILLWIRE_OUTBOX"])
for number in itertools.count(1):
    sale = till.sell([("ESPRESSO-1KG", 1)], reference=f"{os.getpid()}-{number}")
    print("SOLD", sale.id, sale.reference, flush=True)
    time.sleep(0.02)
"""


def tally(
    case: str, command: list[str], folder: Path, *, trouble_seconds: float = 0.8, patience_seconds: float = 30.0
) -> Tally:
    return run_case(
        CASE[case],
        command,
        folder / case,
        random.Random(7),
        trouble_seconds=trouble_seconds,
        patience_seconds=patience_seconds,
    )


@pytest.mark.parametrize("case", ["cut_answer", "away", "fenced", "everything"])
def test_a_careful_till_without_the_library_passes(case: str, tmp_path: Path) -> None:
    found = tally(case, [*VENDOR, "good"], tmp_path)
    assert found.is_good, found
    assert found.faults


@pytest.mark.parametrize("case", ["kill_unanswered", "everything"])
def test_a_till_on_the_library_passes(case: str, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKOUT", str(root))
    found = tally(case, [sys.executable, "-c", LIBRARY, "{hq}"], tmp_path)
    assert found.is_good, found


MISTAKES = [
    ("forgets", "drop_request", "lost"),
    ("claims_first", "kill", "lost"),
    ("new_ids", "drop_answer", "doubled"),
    ("inexact", "calm", "refused"),
]


@pytest.mark.parametrize(("mode", "case", "what"), MISTAKES)
def test_a_careless_till_is_found_out(mode: str, case: str, what: str, tmp_path: Path) -> None:
    found = tally(case, [*VENDOR, mode], tmp_path, trouble_seconds=1.5, patience_seconds=0.7)
    assert not found.is_good
    assert getattr(found, what) > 0, found


NO_CLAIMS = [("mute", "it never said SOLD"), ("nonsense", "'SOLD seventeen' is no claim")]


@pytest.mark.parametrize(("mode", "note"), NO_CLAIMS)
def test_a_till_that_claims_nothing_is_told_how_to(mode: str, note: str, tmp_path: Path) -> None:
    found = tally("calm", [*VENDOR, mode], tmp_path, trouble_seconds=0.5)
    assert not found.is_good
    assert any(line.startswith(note) for line in found.notes)


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    line = "import uuid; print('SOLD', uuid.uuid4(), flush=True)"
    found = tally("calm", [sys.executable, "-c", line], tmp_path, patience_seconds=0.5)
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
    assert "Every sale arrived, once." in capsys.readouterr().out
    options[-1] = str(tmp_path / "again")
    assert command_line(monkeypatch, *options, "--", *VENDOR, "inexact") == 1
    printed = capsys.readouterr().out
    assert "Not every sale arrived once. Seed 3" in printed
    assert "calm: refused: $.lines[0].quantity" in printed


def test_programs_get_json_and_minutes_go_round_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--case", "calm", "--seconds", "0.5", "--minutes", "0.02", "--folder", str(tmp_path), "--json"]
    assert command_line(monkeypatch, *options, "--", *VENDOR, "good") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["good"]
    assert len(result["cases"]) > 1
    assert all(case["sold"] <= case["arrived"] for case in result["cases"])
