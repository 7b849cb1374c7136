"""`inventory-server`: every administrator's command, with a server running and without."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from inventory_server.commands import serve
from inventory_server.store.ledger import tables
from pos_client.commands.console import CommandError
from pos_client.protocol.address import Address
from pos_client.till.client import PosClient
from tests.support.commands import Done, Shell, headquarters
from tests.support.waiting import HANG_SECONDS


class Server:
    """The command `inventory-server` on one ledger."""

    def __init__(self, shell: Shell, url: str, address: str = "") -> None:
        self.shell = shell
        self.url = url
        self.address = address

    def __call__(self, *arguments: str | Path) -> Done:
        return self.shell("inventory-server", *arguments, "--db", self.url)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture(params=["stopped", "running"])
def server(request: pytest.FixtureRequest, shell: Shell, tmp_path: Path) -> Iterator[Server]:
    if request.param == "running":
        with headquarters(tmp_path, dev=False, control=True) as (address, url):
            yield Server(shell, url, address)
    else:
        stopped = Server(shell, f"sqlite:///{tmp_path / 'hq.db'}")
        assert stopped("db", "upgrade").out == f"{stopped.url} is ready.\n"
        yield stopped


def test_a_terminal_is_added_listed_rotated_and_revoked(server: Server, tmp_path: Path) -> None:
    added = server("terminal", "add", "T1", "--location", "A")
    assert (added.code, added.out) == (0, "Enrolled the till T1 at A. Its token is in T1.token.\n")
    written = tmp_path / "T1.token"
    first = written.read_text()
    assert (len(first), stat.S_IMODE(written.stat().st_mode)) == (44, 0o600)
    other = tmp_path / "boss.secret"
    boss = ("boss", "--location", "HQ", "--role", "operator", "--token-file", other, "--json")
    told = json.loads(server("terminal", "add", *boss).out)
    assert told == {"terminal": "boss", "role": "operator", "location": "HQ", "token_file": str(other)}
    rotated = server("terminal", "rotate", "T1")
    assert rotated.out == "Terminal T1 has a new token, in T1.token; the old one is invalid.\n"
    second = written.read_text()
    assert (len(second), second != first, stat.S_IMODE(written.stat().st_mode)) == (44, True, 0o600)
    assert server("terminal", "revoke", "boss").code == 0
    listed = json.loads(server("terminal", "list", "--json").out)
    assert [(row["terminal"], row["revoked_at"] is None) for row in listed] == [("T1", True), ("boss", False)]
    assert "T1" in server("terminal", "list").out
    for shown in (server("terminal", "list").out, server("terminal", "list", "--json").out):
        assert first.strip() not in shown
        assert second.strip() not in shown


def test_a_token_is_written_only_with_the_change_that_makes_it_valid(server: Server, tmp_path: Path) -> None:
    written = tmp_path / "T1.token"
    server("terminal", "add", "T1", "--location", "A")
    first = written.read_text()
    again = server("terminal", "add", "T1", "--location", "A")
    assert (again.code, again.out) == (2, "")
    assert "T1.token exists already: remove it, or name another file with --token-file." in again.err
    assert server("terminal", "add", "T1", "--location", "A", "--token-file", tmp_path / "other").code == 2
    assert server("terminal", "rotate", "T9").code == 2
    gone = tmp_path / "gone" / "T2.token"
    refused = server("terminal", "add", "T2", "--location", "A", "--token-file", gone)
    assert (refused.code, "cannot be written: No such file or directory" in refused.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir() if "token" in path.name or path.name == "other"] == ["T1.token"]
    assert written.read_text() == first
    assert [row["terminal"] for row in json.loads(server("terminal", "list", "--json").out)] == ["T1"]


WRONG_TERMINALS = [
    (["add", "a b", "--location", "A"], "Expected a terminal name of 1 to 64 letters"),
    (["add", "T1", "--location", "A\x07"], "Expected a location of 1 to 64 characters"),
    (["add", "T1"], "Missing option '--location'"),
    (["add", "hq", "--location", "A"], "The name hq is reserved for HQ's own postings; choose another one."),
    (["add", "T1", "--location", "A", "--role", "king"], "'king' is not one of"),
    (["rotate", "T9"], "There is no terminal T9; see: inventory-server terminal list"),
    (["revoke", "T9"], "There is no terminal T9"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_TERMINALS)
def test_a_terminal_that_cannot_be_is_refused_with_the_next_step(
    arguments: list[str], reason: str, server: Server
) -> None:
    done = server("terminal", *arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


def test_a_name_that_is_taken_is_refused(server: Server) -> None:
    server("terminal", "add", "T1", "--location", "A")
    done = server("terminal", "add", "T1", "--location", "B", "--token-file", "other")
    assert (done.code, done.out) == (2, "")
    assert "exists already" in done.err


def test_a_catalogue_is_imported_only_if_nothing_is_wrong_in_it(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "products.csv"
    path.write_text("code,name,reorder_point\nA1,Apples,5\nA2,Pears,many\nA3,Plums,\n")
    done = server("catalog", "import", path, "--column", "sku=code")
    assert (done.code, done.out) == (1, "Nothing was imported: correct the 1 problem and import the file again.\n")
    assert done.err.startswith(f"{path}:3: reorder_point: expected an exact number")
    again = server("catalog", "import", path, "--column", "sku=code", "--json")
    assert json.loads(again.out) == {"listed": 0, "suppliers": 0, "not_mapped": 1, "wrong_barcodes": 0}
    assert json.loads(server("status", "--json").out)["products"] == 0
    path.write_text("code,name,reorder_point,colour\nA1,Apples,5,red\nA2,Pears,,\n")
    done = server("catalog", "import", path, "--column", "sku=code")
    assert (done.code, done.out, done.err) == (0, "Imported 2 products.\n", "Ignored columns: colour.\n")


WRONG_IMPORTS = [
    (["products.csv"], "cannot be read: No such file or directory"),
    (["products.csv", "--column", "price=p"], "'price' is no field of this file: expected sku, name"),
    (
        ["products.csv", "--column", "reorderpoint=p"],
        "'reorderpoint' is no field of this file: did you mean 'reorder_point'?",
    ),
    (["products.csv", "--column", "sku"], "expected FIELD=VALUE, got 'sku'"),
    (["products.csv", "--delimiter", ";;"], "--delimiter: expected one character, got ';;'"),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_IMPORTS)
def test_a_catalogue_that_cannot_be_imported_is_refused(arguments: list[str], reason: str, server: Server) -> None:
    done = server("catalog", "import", *arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


def test_an_empty_ledger_is_proven_and_agrees_with_nobody(server: Server) -> None:
    assert json.loads(server("verify", "--json").out)["mismatches"] == 0
    assert "The proof holds." in server("verify").out
    assert server("reconcile").out == "No tills are enrolled.\n"
    assert server("postings", "waiting").out == "No postings are waiting.\n"
    assert json.loads(server("reconcile", "--json").out) == []
    assert json.loads(server("postings", "waiting", "--json").out) == []
    assert server("status").code == 0


def test_a_refused_posting_waits_and_is_reopened(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        server = Server(shell, url, address)
        with PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till:
            posting = till.sell([("x", 1)], id=uuid4())
            posting.wait(HANG_SECONDS)
            refused = till.void(uuid4())  # an orphan is taken; a second void of the same posting is not
            refused.wait(HANG_SECONDS)
            again = till.void(posting)
            assert again.wait(HANG_SECONDS).status == "posted"
            twice = till.void(posting)
            assert twice.wait(HANG_SECONDS).status == "rejected"
            till.bye(timeout=HANG_SECONDS)  # tells HQ what the till has parked
        waiting = server("postings", "waiting", "--json")
        assert waiting.code == 1
        [one] = json.loads(waiting.out)
        assert (one["id"], one["kind"], one["terminal"]) == (str(twice.id), "rejected", "T1")
        assert str(twice.id) in server("postings", "waiting").out
        open_ones = server("reconcile")
        assert open_ones.code == 1
        assert open_ones.out.endswith("0 of 1 tills reported and agree; 1 disagrees.\n")
        assert "1 parked at the till" in open_ones.out
        assert server("postings", "reopen", str(twice.id)).code == 0
        assert server("postings", "waiting").code == 0
        done = server("postings", "reopen", str(twice.id))
        assert (done.code, done.out) == (2, "")
        assert "no rejected posting" in done.err


JSON_INSTANTS = {
    ("terminal", "list"): {"enrolled_at", "located_at", "revoked_at", "contact_at"},
    ("status",): {"recorded_at"},
    ("reconcile",): {"contact_at", "closed_at", "silent_since_at"},
    ("postings", "waiting"): {"recorded_at"},
}


def test_instants_are_told_to_programs_in_rfc_3339_with_offset(shell: Shell, tmp_path: Path) -> None:
    with (
        headquarters(tmp_path, control=True) as (address, url),
        PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till,
    ):
        posting = till.sell([("x", 1)])
        till.void(posting)
        assert till.void(posting).wait(HANG_SECONDS).status == "rejected"
        till.bye(timeout=HANG_SECONDS)
        for command, names in JSON_INSTANTS.items():
            told = json.loads(shell("inventory-server", *command, "--json", "--db", url).out)
            [row] = told if isinstance(told, list) else [told]
            assert {name for name in row if name.endswith("_at")} == names
            assert all(row[name] is None or datetime.fromisoformat(row[name]).tzinfo is not None for name in names)
            assert any(row[name] is not None for name in names)


def test_a_proof_that_fails_is_exit_code_1_with_the_findings(shell: Shell, tmp_path: Path) -> None:
    with (
        headquarters(tmp_path) as (address, url),
        PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till,
    ):
        till.sell([("x", 1)]).wait(HANG_SECONDS)
    with sqlite3.connect(tmp_path / "hq.db") as altered:
        altered.execute("UPDATE level SET on_hand = on_hand + 1")
    altered.close()
    done = shell("inventory-server", "verify", "--db", url)
    assert done.code == 1
    assert "'x' at 'A'" in done.err
    assert "The proof fails: " in done.out


BAD_DATABASES = [
    (Path.exists, "There is no database"),
    (lambda path: path.write_bytes(b"no database at all" * 99), "is not an SQLite database"),
    (lambda path: path.write_bytes(b""), "holds no ledger yet"),
]


@pytest.mark.parametrize("command", [["verify"], ["status"], ["terminal", "list"], ["serve"], ["reconcile"]])
@pytest.mark.parametrize(("make", "reason"), BAD_DATABASES)
def test_a_database_that_cannot_be_used_is_one_sentence_with_the_next_step(
    command: list[str], make: object, reason: str, shell: Shell, tmp_path: Path
) -> None:
    assert callable(make)
    make(tmp_path / "hq.db")
    done = shell("inventory-server", *command, "--db", f"sqlite:///{tmp_path / 'hq.db'}")
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["hq.db", "sqlite://", "mysql://hq"])
def test_what_is_no_database_url_is_refused(url: str, shell: Shell) -> None:
    done = shell("inventory-server", "status", "--db", url)
    assert (done.code, done.out) == (2, "")
    assert "sqlite:///tillwire.db" in done.err


def test_listen_and_unix_options_name_where_to_listen() -> None:
    assert serve.listen_addresses([], []) == [Address("127.0.0.1", 29876)]
    assert serve.listen_addresses([], ["/run/hq.sock"]) == [Address.unix("/run/hq.sock")]
    assert serve.listen_addresses(["hq", ":0"], ["/x"]) == [
        Address("hq", 29876),
        Address("0.0.0.0", 0),
        Address.unix("/x"),
    ]
    with pytest.raises(CommandError, match="Cannot listen on 'hq:x': expected HOST:PORT"):
        serve.listen_addresses(["hq:x"], [])


def test_development_mode_is_announced_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    serve.announce([Address("127.0.0.1", 7)], "sqlite:///x.db", dev=True)
    said = capsys.readouterr()
    assert said.out == "inventory-server: serving on 127.0.0.1:7 from sqlite:///x.db\n"
    assert "DEVELOPMENT MODE" in said.err


def test_a_store_or_a_loop_that_fails_ends_the_process_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    serve.end_at_once(RuntimeError("The disk said no."))
    assert codes == [2]
    assert "The disk said no." in capsys.readouterr().err
    serve.end_without_clients(OverflowError("timeout is too large"))
    assert codes == [2, 2]
    assert "since OverflowError was raised: timeout is too large. The log" in capsys.readouterr().err


def test_a_misspelt_terminal_or_product_is_answered_with_the_name_that_is_meant(server: Server, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("sku\nTEA-100\nMI%K\nMILK\n")
    assert server("terminal", "add", "north-1", "--location", "A").code == 0
    assert server("catalog", "import", tmp_path / "products.csv").code == 0
    terminal = "inventory-server: There is no terminal norht-1; did you mean north-1? If not, see: "
    assert server("terminal", "revoke", "norht-1").err.startswith(terminal)
    assert "did you mean" not in server("terminal", "revoke", "hqq").err, "HQ is no terminal"
    product = "inventory-server: The catalogue does not list TEA-10; did you mean TEA-100? If not, list it with: "
    assert server("product", "show", "TEA-10").err.startswith(product)
    assert server("product", "remove", "TEA-10").err.startswith(product)
    assert "did you mean" not in server("product", "show", "%%%").err


def test_a_token_is_nowhere_in_the_database(server: Server, tmp_path: Path) -> None:
    server("terminal", "add", "T1", "--location", "A")
    token = (tmp_path / "T1.token").read_text().strip()
    files = [path for path in tmp_path.glob("hq.db*") if stat.S_ISREG(path.stat().st_mode)]
    assert files
    assert all(token.encode() not in path.read_bytes() for path in files)


def test_the_demo_wants_an_empty_folder(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    done = shell("inventory-server", "demo", "--folder", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "is not empty" in done.err


def test_a_ledger_is_copied_and_compared(shell: Shell, tmp_path: Path) -> None:
    with (
        headquarters(tmp_path) as (address, url),
        PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till,
    ):
        till.sell([("x", 1)]).wait(HANG_SECONDS)
    new = f"sqlite:///{tmp_path / 'new.db'}"
    missing = shell("inventory-server", "db", "copy", "--from", url, "--to", new)
    assert (missing.code, missing.out) == (2, "")
    assert f"make one with: inventory-server db upgrade --db {new}" in missing.err
    shell("inventory-server", "db", "upgrade", "--db", new)
    done = shell("inventory-server", "db", "copy", "--from", url, "--to", new)
    assert done.code == 0
    assert done.out.endswith("The proof holds.\n")
    assert f"{tmp_path / 'hq.db'} and {tmp_path / 'new.db'} are equal." in done.out
    again = shell("inventory-server", "db", "copy", "--from", url, "--to", new)
    assert again.code == 2
    assert "holds a ledger already" in again.err

    compare = ("inventory-server", "db", "compare", "--db", url, "--with", new)
    assert shell(*compare).code == 0
    with sqlite3.connect(tmp_path / "new.db") as altered:
        altered.execute("UPDATE level SET on_hand = on_hand + 1")
    altered.close()
    differs = shell(*compare)
    assert differs.code == 1
    assert "differ in 1 of " in differs.out
    told = json.loads(shell(*compare, "--json").out)
    assert [table["table"] for table in told["tables"] if not table["equal"]] == ["level"]
    assert not told["equal"]


def test_a_ledger_that_does_not_hold_is_copied_as_it_is(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path) as (_, url):
        pass
    with sqlite3.connect(tmp_path / "hq.db") as altered:
        altered.execute("UPDATE ledger SET recorded_at = 7")
    altered.close()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    shell("inventory-server", "db", "upgrade", "--db", new)
    done = shell("inventory-server", "db", "copy", "--from", url, "--to", new, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["proof"]["mismatches"]) == (1, True, 1)


def test_the_books_are_closed_beside_a_running_server(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 1)
    with (
        headquarters(tmp_path, control=True) as (address, url),
        PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till,
    ):
        close = ("inventory-server", "db", "close", "--db", url)
        assert shell(*close).out == "Nothing to close.\n"
        assert shell(*close, "--json").out == "null\n"
        for _ in range(3):
            till.sell([("x", 1)]).wait(HANG_SECONDS)
        said = "Closed up to position 1 in 1 step: stored 1 balance and 0 late movements.\n"
        assert shell(*close).out == said
        till.sell([("x", 1)]).wait(HANG_SECONDS)
        assert json.loads(shell(*close, "--json").out) == {"position": 3, "cuts": 1, "balances": 1, "stragglers": 0}
        assert json.loads(shell("inventory-server", "verify", "--db", url, "--json").out)["closings"] == 2
