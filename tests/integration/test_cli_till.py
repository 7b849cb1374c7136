"""`pos-client`: a till on the command line, and the replay of sales files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from inventory_server.domain.product import Product
from inventory_server.domain.requests import Enrol, ImportProducts
from pos_client.protocol.errors import ConnectionLost
from pos_client.till.client import PosClient
from tests.support.commands import Done, Shell, headquarters
from tests.support.maintenance import change
from tests.support.waiting import HANG_SECONDS

T = "2026-03-01T10:00:00Z"
SALES = f"store,ticket,sku,qty,time\nA,1,x,2,{T}\nA,1,y,1,{T}\nB,1,x,-1,{T}\n"
COLUMNS = [
    *("--column", "location=store", "--column", "basket=store", "--column", "basket=ticket", "--column", "sku=sku"),
    *("--column", "quantity=qty", "--column", "timestamp=time"),
]


class Till:
    """The command `pos-client` with an outbox in `folder` and a server that may be away."""

    def __init__(self, shell: Shell, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self._shell = shell
        shell.env(TILLWIRE_SERVER=address, TILLWIRE_TERMINAL="T1", TILLWIRE_LOCATION="A")
        shell.env(TILLWIRE_OUTBOX=str(folder / "till.db"))

    def __call__(self, *arguments: str | Path) -> Done:
        return self._shell("pos-client", *arguments)

    def cut_off(self) -> None:
        """From now on HQ is away."""
        self._shell.env(TILLWIRE_SERVER=f"unix:{self.folder}/cut-cable")

    def connect(self) -> None:
        """HQ is back."""
        self._shell.env(TILLWIRE_SERVER=self.address)

    def on_hand(self, sku: str) -> dict[str, int]:
        done = self._shell("stock-query", sku, "--format", "json")
        return {item["location"]: item["on_hand"] for item in json.loads(done.out)["items"]}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def till(shell: Shell, tmp_path: Path) -> Iterator[Till]:
    with headquarters(tmp_path) as (address, _):
        yield Till(shell, tmp_path, address)


@pytest.fixture
def lonely_till(shell: Shell, tmp_path: Path) -> Till:
    return Till(shell, tmp_path, f"unix:{tmp_path}/cut-cable")


def test_a_sale_is_posted_and_its_answer_shown(till: Till) -> None:
    done = till("sell", "x=2", "y", "z=0.25", "--location", "A", "--wait", "30", "--reference", "R1")
    assert done.code == 0
    assert done.out.endswith(" posted unlisted_product, negative_stock\n")
    assert till.on_hand("x") == {"A": -2}
    answer = json.loads(till("sell", "a=b=2", "--wait", "30", "--json").out)
    assert (answer["state"], answer["result"]["status"], answer["result"]["position"]) == ("done", "posted", 2)
    assert till.on_hand("a=b") == {"A": -2}


def test_a_misspelt_product_is_posted_and_the_listed_one_named(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        change(url, ImportProducts([Product("COFFEE", "Coffee")], []))
        till = Till(shell, tmp_path, address)
        done = till("sell", "COFEE=1", "COFFEE", "TROUSERS", "--wait", "30")
        assert done.code == 0
        number = done.out.split()[0]
        assert done.err == (
            f"COFEE is not in the catalogue; did you mean COFFEE? If so: pos-client void {number}, and record it"
            " anew.\n"
        )
        assert till("void", number, "--wait", "30").err == ""


def test_where_hq_goes_away_after_the_answer_no_product_is_named(
    till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionLost("The line is down.")

    monkeypatch.setattr(PosClient, "posting", away)
    done = till("sell", "COFEE=1", "--wait", "30")
    assert (done.code, done.out.split()[1]) == (0, "posted")
    assert done.err == "Which listed product may be meant, HQ does not say now: The line is down.\n"


def test_a_sale_while_hq_is_away_is_kept_and_delivered_later(till: Till) -> None:
    till.cut_off()
    sold = till("sell", "x=2")
    assert sold.code == 0
    assert sold.out.endswith(" pending\n")
    listed = till("outbox", "list")
    assert sold.out.split()[0] in listed.out
    assert "1 pending, 1 shown; 0 parked." in listed.out
    assert json.loads(till("outbox", "list", "--json").out)["postings"][0]["body"]["lines"] == [
        {"sku": "x", "quantity": 2}
    ]
    shown = json.loads(till("status", "--json").out)
    assert (shown["pending"], shown["parked"], shown["last_seq"]) == (1, 0, 1)
    assert "cannot be reached" in shown["hq"]
    still = till("deliver", "--wait", "2")
    assert (still.code, still.out) == (2, "0 delivered, 1 pending, 0 parked.\n")
    assert "cannot be reached" in still.err
    till.connect()
    done = till("deliver", "--location", "A")
    assert (done.code, done.out) == (0, "1 delivered, 0 pending, 0 parked.\n")
    assert till.on_hand("x") == {"A": -2}
    assert "answers at" in till("status").out


def test_waiting_for_an_answer_that_does_not_come_is_exit_code_2(lonely_till: Till) -> None:
    done = lonely_till("sell", "x", "--wait", "0")
    assert done.code == 2
    assert "the posting stays pending" in done.err
    assert lonely_till("outbox", "list").code == 0


def test_what_hq_refuses_is_listed_exported_and_driven_again(till: Till, tmp_path: Path) -> None:
    with PosClient(till.address, terminal="T1", location="A", outbox=tmp_path / "till.db") as client:
        sale = client.sell([("x", 1)])
        client.void(sale)
        client.void(sale).wait(HANG_SECONDS)
    parked = till("outbox", "parked")
    assert parked.code == 1
    assert "can be voided once" in parked.out
    [one] = json.loads(till("outbox", "parked", "--json").out)
    exported = till("outbox", "export", tmp_path / "parked.jsonl")
    assert (exported.code, exported.err) == (0, "Wrote 1 parked posting.\n")
    assert json.loads((tmp_path / "parked.jsonl").read_text())["id"] == one["id"]
    assert json.loads(till("outbox", "export", "-").out)["id"] == one["id"]
    again = till("outbox", "export", tmp_path / "parked.jsonl")
    assert (again.code, again.err) == (
        2,
        f"pos-client: {tmp_path}/parked.jsonl cannot be written: File exists. Give the name of a new file.\n",
    )
    assert till("status").code == 1
    assert till("outbox", "redrive", one["id"]).out == "1 posting is pending again.\n"
    refused = till("deliver")
    assert (refused.code, refused.out) == (1, "1 delivered, 0 pending, 1 parked.\n")
    assert till("outbox", "redrive", "--all").code == 0
    assert till("outbox", "parked").code == 0


WRONG_SALES = [
    (["sell", "x", "--terminal", "a b"], 'terminal "a b"'),
    (["sell", "x", "--server", "a:b:c"], "is no address"),
    (["outbox", "redrive"], "Expected ids of parked postings or --all, got neither."),
    (["outbox", "redrive", "--all", str(uuid4())], "Expected ids of parked postings or --all, got both."),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_SALES)
def test_what_cannot_be_done_is_refused_with_the_reason(arguments: list[str], reason: str, lonely_till: Till) -> None:
    done = lonely_till(*arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [["status"], ["outbox", "list"], ["outbox", "parked"], ["deliver"]])
def test_looking_at_an_outbox_does_not_make_one(arguments: list[str], lonely_till: Till) -> None:
    done = lonely_till(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "There is no outbox" in done.err
    assert not (lonely_till.folder / "till.db").exists()


def test_a_sales_file_is_replayed_once_however_often_it_is_run(till: Till, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    first = json.loads(till("replay", path, "--source", "s", *COLUMNS, "--json").out)
    assert {name: first[name] for name in ("rows", "postings", "posted", "lines_posted", "tills", "locations")} == {
        "rows": 3,
        "postings": 2,
        "posted": 2,
        "lines_posted": 3,
        "tills": 2,
        "locations": 2,
    }
    second = till("replay", path, "--source", "s", *COLUMNS, "--tills", "3", "--workers", "2", "--speed", "9000x")
    assert second.code == 0
    assert "duplicate" in second.out
    assert till.on_hand("x") == {"A": -2, "B": 1}


def test_rows_that_do_not_map_are_reported_and_the_rest_is_posted(till: Till, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(f"{SALES}A,2,x,many,{T}\n")
    done = till("replay", path, "--source", "s", *COLUMNS, "--json")
    assert done.code == 1
    assert done.err == (
        f"{path}:5: qty: expected an exact number with at most 5 decimals and |quantity| ≤ 10⁹, got 'many'\n"
    )
    summary = json.loads(done.out)
    assert (summary["posted"], summary["rows_not_mapped"], summary["rows_held_back"]) == (2, 1, 0)


def test_the_same_key_with_other_goods_is_a_conflict_that_is_reported(till: Till, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    assert till("replay", path, "--source", "s", *COLUMNS).code == 0
    path.write_text(SALES.replace("x,2", "x,3"))
    done = till("replay", path, "--source", "s", *COLUMNS)
    assert done.code == 1
    assert done.err.startswith("basket A/1 (")
    assert ": conflict: " in done.err
    assert till.on_hand("x") == {"A": -2, "B": 1}


def test_tokens_from_a_file_speak_for_the_tills(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        for name, place in (("A-1", "A"), ("B-1", "B")):
            change(url, Enrol(name, "till", place, f"secret-{name}"))
        till = Till(shell, tmp_path, address)
        (tmp_path / "sales.csv").write_text(SALES)
        (tmp_path / "tokens").write_text("A-1 secret-A-1\n\nB-1 secret-B-1\n")
        replay: list[str | Path] = ["replay", tmp_path / "sales.csv", "--source", "s", *COLUMNS]
        assert till(*replay, "--token-file", tmp_path / "tokens").code == 0
        refused = till(*replay, "--workers", "1")  # with more, either till may be refused first
        assert (refused.code, refused.out) == (2, "")
        assert "A-1 gave no token" in refused.err


WRONG_REPLAYS = [
    (["--source", "s", "--column", "basket=ticket"], "has no product: set columns.sku"),
    (COLUMNS, "The mapping has no source"),
    (["--source", "s", *COLUMNS, "--column", "sku=article"], "has no column 'article'; its columns are store, ticket"),
    (["--source", "s", *COLUMNS, "--speed", "fast"], "expected max or a factor like 60x, got 'fast'"),
    (["--source", "s", *COLUMNS, "--speed", "0x"], "expected max or a factor like 60x"),
    (["--source", "s", *COLUMNS, "--column", "sku"], "expected FIELD=VALUE, got 'sku'"),
    (["--source", "s", *COLUMNS, "--token-file", "none"], "The token file none cannot be read"),
    (["--source", "s", *COLUMNS, "--mapping", "none.toml"], "The mapping file none.toml cannot be read"),
    (["--source", "s", *COLUMNS, "--zone", "Mars"], "Unknown time zone 'Mars'"),
    (["--source", "s", *COLUMNS, "--time-format", "%Y", "--constant", "type=void"], "cannot contain the type void"),
    (["--source", "s", *COLUMNS, "--patience", "0"], "nothing is counted twice"),
    (["--source", "s", *COLUMNS, "--delimiter", ";"], "has no column 'store'"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_REPLAYS)
def test_a_replay_that_cannot_be_is_refused_with_the_reason(
    arguments: list[str], reason: str, lonely_till: Till, tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    done = lonely_till("replay", path, *arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_not_there_and_a_token_file_with_another_shape_are_refused(
    lonely_till: Till, tmp_path: Path
) -> None:
    assert "cannot be read: No such file" in lonely_till("replay", "none.csv", "--source", "s", *COLUMNS).err
    (tmp_path / "sales.csv").write_text(SALES)
    (tmp_path / "tokens").write_text("A-1\n")
    done = lonely_till("replay", tmp_path / "sales.csv", "--source", "s", *COLUMNS, "--token-file", tmp_path / "tokens")
    assert done.code == 2
    assert "expected a terminal name and its token, got 1 words" in done.err


def test_what_a_posting_holds_cannot_control_the_terminal(till: Till, shell: Shell, tmp_path: Path) -> None:
    hostile, shown = "\x1b[31m\x1b]0;pwn\x07\x9b31m\u202e", r"\x1b[31m\x1b]0;pwn\x07\x9b31m\u202e"
    with PosClient(till.address, terminal="T1", location="A\u202e", outbox=tmp_path / "till.db") as client:
        sale = client.sell([("x\u202e", 1)], reference=hostile)
        client.void(sale)
        client.void(sale, reference=hostile).wait(HANG_SECONDS)
    till.cut_off()
    till("sell", "x", "--reference", hostile)
    listed, as_json = till("outbox", "list"), till("outbox", "list", "--json")
    parked, exported = till("outbox", "parked"), till("outbox", "export", "-")
    till.connect()
    stock = shell("stock-query")
    assert shown in listed.out
    assert shown in parked.out
    assert r"x\u202e" in stock.out
    assert json.loads(as_json.out)["postings"][0]["body"]["reference"] == hostile
    assert json.loads(exported.out)["reference"] == hostile
    for done in (listed, as_json, parked, exported, stock):
        assert all(line.isprintable() for line in done.out.split("\n"))
