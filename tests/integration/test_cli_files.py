"""Files of sales and of terminals on the command line: the rehearsal, what was not posted, many tills at once."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
import pytest

from tests.support.commands import Shell, headquarters

MAPPING = """
source = "test"
columns = {location = "Store", basket = "No", sku = "Item", quantity = "Qty", timestamp = "Date"}
time = {zone = "UTC"}
"""
HEAD = "Store,No,Date,Item,Qty"
T = "2026-03-14T09:41:00"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    (tmp_path / "m.toml").write_text(MAPPING)
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def test_a_rehearsal_shows_what_would_be_posted_and_needs_no_server(shell: Shell, tmp_path: Path) -> None:
    rows = ["Report of March", HEAD, f"N,1,{T},A,2", f"N,1,{T},B,0.5", f"M,2,{T},A,3", ",,,,", f"N,3,{T},A,x"]
    (tmp_path / "s.csv").write_text("\n".join(rows) + "\n")
    done = shell("pos-client", "replay", "s.csv", "--mapping", "m.toml", "--dry-run", "--json")
    assert (done.code, done.err.startswith("s.csv:7: Qty: expected an exact number")) == (1, True)
    told = json.loads(done.out)
    assert {name: told[name] for name in ("rows", "rows_not_mapped", "rows_skipped", "postings", "lines")} == {
        "rows": 5,
        "rows_not_mapped": 1,
        "rows_skipped": 2,
        "postings": 2,
        "lines": 3,
    }
    assert told["skipped"] == {"lines before the header": 1, "blank rows": 1}
    assert told["by_location"]["N"] == {"receipts": 1, "lines": 2, "quantity": 2.5}
    assert told["largest"] == {"A": 5, "B": 0.5}
    assert (told["first"], told["last"]) == ("2026-03-14T09:41:00Z", "2026-03-14T09:41:00Z")
    shown = shell("pos-client", "replay", "s.csv", "--mapping", "m.toml", "--dry-run")
    assert "Nothing was posted." in shown.out
    assert "blank rows" in shown.out


def test_in_a_terminal_the_rehearsal_comes_first(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.csv").write_text(f"{HEAD}\nN,1,{T},A,2\n")
    monkeypatch.setattr("pos_client.commands.console.is_interactive", lambda: True)
    asked: list[str] = []

    def refuse(question: str, **_: bool) -> None:
        asked.append(question)
        raise click.Abort

    monkeypatch.setattr("click.confirm", refuse)
    with headquarters(tmp_path) as (address, _):
        replay = partial(shell, "pos-client", "replay", "s.csv", "--mapping", "m.toml", "--server", address)
        done = replay()
        assert (done.code, asked) == (130, ["Post these sales?"])
        assert "N        │        1 │     1 │        2" in done.out
        assert "Nothing was posted" not in done.out
        posted = replay("--yes")
        assert (posted.code, "lines posted" in posted.out) == (0, True)
    assert len(asked) == 1


def test_many_like_problems_are_shown_three_times_and_all_written_to_be_mended(shell: Shell, tmp_path: Path) -> None:
    rows = [f"N,{n},{T},A,{n} bags" for n in range(1, 51)] + [f"N,90,{T},B,1", f'N,91,{T},C,"1', f"N,92,{T},D,1"]
    (tmp_path / "s.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    with headquarters(tmp_path) as (address, _):
        replay = partial(shell, "pos-client", "replay", "--mapping", "m.toml", "--server", address, "--json")
        done = replay("s.csv", "--rejects", "rest.csv")
        assert (done.code, json.loads(done.out)["posted"]) == (1, 0)
        assert done.err.count("Qty: expected") == 3
        assert "… and 47 more rows like these" in done.err
        rest = (tmp_path / "rest.csv").read_text()
        assert rest.splitlines() == [HEAD, *rows]
        (tmp_path / "rest.csv").write_text(rest.replace(" bags", "").replace('"', ""))
        mended = replay("rest.csv", "--rejects", "none.csv")
        assert (mended.code, mended.err, json.loads(mended.out)["posted"]) == (0, "", 53)
    assert not (tmp_path / "none.csv").exists()


def test_files_with_two_readings_are_not_posted(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(f"{HEAD},Status\nN,1,{T},A,1.234,paid\nN,2,{T},A,5.678,void\n")
    done = shell("pos-client", "replay", "s.csv", "--mapping", "m.toml")
    assert (done.code, done.out) == (2, "")
    assert "s.csv: Qty: '1.234' can be read as 1234 or as 1.234: set decimal and thousands\n" in done.err
    assert "s.csv: the column 'Status' may mark rows to leave out ('paid', 'void')" in done.err
    assert "Nothing was posted: the files can be read in several ways." in done.err


def test_what_is_left_out_of_what_is_posted_is_said(shell: Shell, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"{HEAD},Price,Shelf,State\nN,1,{T},A,1,?,7,paid\n")
    with (tmp_path / "m.toml").open("a") as mapping:
        mapping.write('skip = {State = ["gone"], Item = ["Total"]}\n')
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text() + f"N,1,{T},Total,1,?,7,paid\n")
    priced = ["--column", "unit_price=Price", "--constant", "currency=EUR"]
    done = shell("pos-client", "replay", "a.csv", "b.csv", "--mapping", "m.toml", "--dry-run", *priced)
    assert done.code == 0
    assert done.err.splitlines() == [
        "Ignored columns: Shelf.",
        "No row is left out by [skip] State: its values are 'paid'.",
        "Posted without a price, which could not be read: 2 rows.",
        "Counted once although the files have them twice: 1 receipt.",
    ]


def test_a_date_of_the_future_is_named(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(f"{HEAD}\nN,1,{T},A,2\nN,2,9999-01-01T00:00:00,A,2\n")
    done = shell("pos-client", "replay", "s.csv", "--mapping", "m.toml", "--dry-run", "--json")
    assert (done.code, json.loads(done.out)["largest"]) == (1, {"A": 2})
    assert done.err.startswith("s.csv:3: Date: expected a time that has been, got '9999-01-01T00:00:00'; ")


def test_nothing_of_a_file_controls_the_terminal(shell: Shell, tmp_path: Path) -> None:
    evil = "\x1b[31mEVIL"
    (tmp_path / "s.csv").write_text(f"{HEAD},{evil}\nN,1,{T},A,{evil},\nN{evil},2,{T},A,1,\nN,{evil},{T},A,x,\n")
    for options in ([], ["--dry-run"], ["--column", "sku=none"]):
        done = shell("pos-client", "replay", "s.csv", "--mapping", "m.toml", "--server", "unix:none", *options)
        assert "\x1b" not in done.out + done.err
        assert "EVIL" in done.err


def test_an_export_is_recognised_by_its_header(shell: Shell, tmp_path: Path) -> None:
    export = Path(__file__).parents[1] / "support" / "exports" / "loyverse.csv"
    done = shell("pos-client", "replay", export, "--mapping", "auto", "--zone", "Asia/Manila", "--dry-run", "--json")
    assert done.code == 0
    assert "is read with the mapping loyverse." in done.err
    told = json.loads(done.out)
    assert list(told["terminals"].values()) == ["Corner", "Corner"]
    assert told["skipped"] == {"Status = Cancelled": 1}


def test_the_tills_of_a_rehearsal_are_enrolled_in_one_go(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(f"{HEAD}\nN,1,{T},A,2\nM,2,{T},A,3\n")
    shell("pos-client", "replay", "s.csv", "--mapping", "m.toml", "--dry-run", "--terminals", "tills.csv")
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        enrol = partial(shell, "inventory-server", "terminal", "import", "tills.csv", "--db", url, "--tokens")
        done = enrol("tokens")
        assert (done.code, done.out) == (
            0, "Enrolled 2 terminals; 0 terminals stayed as enrolled before. Tokens: tokens\n"
        )  # fmt: skip
        assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o600
        replay = ["replay", "s.csv", "--mapping", "m.toml", "--server", address, "--token-file", "tokens", "--json"]
        assert json.loads(shell("pos-client", *replay).out)["posted"] == 2
        again = enrol("tokens")
        assert (again.code, "tokens cannot be written: File exists" in again.err) == (2, True)
        assert enrol("more").out.startswith("Enrolled 0 terminals; 2 terminals stayed")


def test_a_list_of_terminals_with_a_wrong_row_enrols_none(shell: Shell, tmp_path: Path) -> None:
    rows = ["terminal,location,role", "T1,North,", "T 2,North,till", "T3,North,boss", "T1,South,", "", "T4", 'T5,"x']
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    done = shell("inventory-server", "terminal", "import", "t.csv", "--db", "sqlite:///none.db", "--tokens", "tokens")
    assert (done.code, done.out) == (1, "None was enrolled: correct the 5 problems and import the file again.\n")
    assert [line.split(": ", 1)[0] for line in done.err.splitlines()] == [f"t.csv:{n}" for n in (3, 4, 5, 7, 8)]
    assert not (tmp_path / "tokens").exists()
