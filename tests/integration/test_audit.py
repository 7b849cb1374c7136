"""Who changed what: every change of an administrator, done or refused, whichever way it came."""

import json
from pathlib import Path
from typing import Any

import pytest

from inventory_server.admin.office import open_office
from inventory_server.config import Settings
from inventory_server.domain.answers import AuditEntry
from inventory_server.domain.requests import (
    CloseBooks,
    Enrol,
    ListAudit,
    ListTerminals,
    MakePartitions,
    ReopenPosting,
    RevokeTerminal,
    RotateToken,
)
from inventory_server.domain.roles import ActorRole, User
from inventory_server.store import StoreError
from pos_client.protocol.address import Address
from pos_client.protocol.errors import RequestError
from tests.support.commands import Shell, headquarters
from tests.support.edge import LineClient
from tests.support.ledgers import DAY, NOON, Clock, new_ledger, opened, uid
from tests.support.maintenance import ADMIN, administer, ask, change, copy

TOKEN = "a token of decent length"
LEE = User("lee", "operator", "page")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def entries(url: str, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
    found: list[AuditEntry] = ask(url, ListAudit(limit, before))
    return found


def test_a_change_is_audited_with_who_when_and_what_but_no_secret(ledger: str) -> None:
    change(ledger, Enrol("T1", "till", "L1", TOKEN), Clock())
    (entry,) = entries(ledger)
    assert (entry.actor, entry.role, entry.source, entry.request) == ("kim", "admin", "test", "enrol")
    assert json.loads(entry.arguments) == {"terminal": "T1", "role": "till", "location": "L1"}
    assert (entry.at, entry.outcome) == (NOON + DAY, "done")


def test_a_refused_change_is_audited_with_its_reason(ledger: str) -> None:
    with pytest.raises(StoreError, match="There is no terminal T9"):
        change(ledger, RevokeTerminal("T9"))
    (entry,) = entries(ledger)
    assert entry.outcome.startswith("refused: There is no terminal T9")


def test_a_change_of_many_transactions_is_audited_too(tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db"):
        url = f"sqlite:///{tmp_path / 'hq.db'}"
    assert change(url, CloseBooks()) is None
    with pytest.raises(StoreError, match="has no partitions"):
        change(url, MakePartitions(1, 1 << 20))
    assert [(entry.request, entry.outcome.partition(":")[0]) for entry in entries(url)] == [
        ("close_books", "done"),
        ("make_partitions", "refused"),
    ]


def test_the_callback_of_a_change_gets_its_outcome_or_its_error(tmp_path: Path) -> None:
    told: list[tuple[Any, Any]] = []
    with opened(tmp_path / "hq.db") as store:
        store.submit(Enrol("T1", "till", "L1", TOKEN, actor=ADMIN), lambda *done: told.append(done)).wait()
        under_way = store.submit(Enrol("T1", "till", "L1", TOKEN, actor=ADMIN), lambda *done: told.append(done))
        with pytest.raises(StoreError, match="exists already"):
            under_way.wait()
    assert told[0] == (None, None)
    assert isinstance(told[1][1], StoreError)


def test_what_a_store_that_closes_refuses_is_told_to_the_callback(tmp_path: Path) -> None:
    told: list[Any] = []
    with opened(tmp_path / "hq.db") as store:
        store._writer.close()
        store.submit(Enrol("T1", "till", "L1", TOKEN, actor=ADMIN), lambda _, error: told.append(str(error)))
        store.submit(ReopenPosting(uid("gone"), actor=ADMIN), lambda _, error: told.append(str(error)))
    assert told == ["The server is shutting down; send again to its successor."] * 2


def test_pages_of_the_trail_go_back_from_the_newest(ledger: str) -> None:
    for number in range(5):
        change(ledger, Enrol(f"T{number}", "till", "L1", TOKEN))
    newest = entries(ledger, 2)
    assert [json.loads(entry.arguments)["terminal"] for entry in newest] == ["T3", "T4"]
    before = entries(ledger, 2, newest[0].id)
    assert [json.loads(entry.arguments)["terminal"] for entry in before] == ["T1", "T2"]


def test_a_running_server_audits_for_whom_it_acts(tmp_path: Path) -> None:
    with headquarters(tmp_path, dev=False, control=True) as (_, url):
        with open_office(url, Settings(), Clock(), User("lee", "admin", "page")) as office:
            office.change(Enrol("T1", "till", "L1", TOKEN))
            office.change(RotateToken("T1", TOKEN[::-1]))
        found = entries(url)
    assert [(entry.actor, entry.source, entry.request) for entry in found] == [
        ("lee", "control socket", "enrol"),
        ("lee", "control socket", "rotate"),
    ]


def test_the_server_checks_the_role_on_the_control_socket(tmp_path: Path) -> None:
    with (
        headquarters(tmp_path, dev=False, control=True) as (_, url),
        open_office(url, Settings(), Clock(), LEE) as office,
        pytest.raises(StoreError, match=r"The role operator may not call enrol: use another role\."),
    ):
        office.change(Enrol("T1", "till", "L1", TOKEN))
    assert ask(url, ListTerminals()) == []


def test_the_control_socket_speaks_json_rpc(tmp_path: Path) -> None:
    with (
        headquarters(tmp_path, dev=False, control=True),
        LineClient(Address.unix(str(tmp_path / "hq.db.control"))) as client,
    ):
        enrolled = {"terminal": "T1", "role": "till", "location": "L1", "token": TOKEN}
        assert client.call("enrol", **enrolled)["result"] is None
        assert client.call("terminals")["result"][0]["terminal"] == "T1"
        assert client.call("stock")["result"]["items"] == []
        refused = client.call("enrol", **enrolled)["error"]
        assert (refused["code"], refused["message"].partition(";")[0]) == (-32600, "Terminal T1 exists already")
        missing = client.call("enrol", terminal="T1")["error"]
        assert (missing["code"], missing["data"]["name"]) == (-32602, "invalid_params")
        unknown = client.call("enrol", **enrolled, colour="blue")["error"]
        assert "colour" in unknown["message"]
        assert client.call("say", words=[])["error"]["data"]["name"] == "method_not_found"
        posted = client.call("post", location="L1", epoch=1, postings=[])["error"]
        assert posted["data"]["name"] == "forbidden", "an administrator posts as a terminal that gave its token"
        assert client.call("act_as", actor="lee", role="reader")["result"] == {"actor": "lee", "role": "reader"}
        assert client.call("revoke", terminal="T1")["error"]["data"]["name"] == "forbidden"


def test_the_command_shows_the_trail(shell: Shell, tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db"):
        url = f"sqlite:///{tmp_path / 'hq.db'}"
    assert shell("inventory-server", "audit", "--db", url).out == "No changes are recorded.\n"
    change(url, Enrol("T1", "till", "L1", TOKEN))
    assert "enrol" in shell("inventory-server", "audit", "--db", url).out
    (told,) = json.loads(shell("inventory-server", "audit", "--db", url, "--json").out)
    assert (told["actor"], told["request"], told["outcome"]) == (ADMIN.name, "enrol", "done")
    assert told["at"].endswith("Z")


def test_who_names_no_actor_may_do_nothing(tmp_path: Path) -> None:
    """A new face of the server that forgets the actor must not be an administrator."""
    with opened(tmp_path / "hq.db") as store:
        for act in (lambda: store.submit(CloseBooks()), lambda: store.ask(ListTerminals())):
            with pytest.raises(RequestError, match="The role nobody may not call"):
                act()


@pytest.mark.parametrize("role", ["till", "reader", "operator"])
def test_the_store_checks_the_role_whichever_way_a_change_comes(role: ActorRole, tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store, pytest.raises(RequestError, match=f"The role {role} may not call enrol"):
        store.submit(Enrol("T1", "till", "L1", TOKEN, actor=User("lee", role, "page")))


@pytest.mark.parametrize(
    ("field", "value"), [("terminal", "bad name!\n"), ("role", "boss"), ("location", ""), ("token", "")]
)
def test_the_control_socket_refuses_what_no_terminal_may_be_called(field: str, value: str, tmp_path: Path) -> None:
    address = Address.unix(str(tmp_path / "hq.db.control"))
    with headquarters(tmp_path, dev=False, control=True) as (_, url):
        with LineClient(address) as client:
            enrolled = {"terminal": "T1", "role": "till", "location": "L1", "token": TOKEN, field: value}
            assert client.call("enrol", **enrolled)["error"]["data"]["path"] == f"$.{field}"
            assert client.call("act_as", actor="\x1b[31mkim")["error"]["data"]["path"] == "$.actor"
            assert client.call("audit", limit=-1)["error"]["data"]["path"] == "$.limit"
        assert entries(url) == []


def test_the_control_socket_refuses_a_line_that_is_too_long_as_the_tills_port_does(tmp_path: Path) -> None:
    address = Address.unix(str(tmp_path / "hq.db.control"))
    with headquarters(tmp_path, dev=False, control=True), LineClient(address) as client:
        client.send(b"x" * (1 << 20) + b"x")
        assert json.loads(client.read_line())["error"]["data"]["name"] == "too_large"


def test_a_callback_that_fails_leaves_nobody_waiting(tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with opened(tmp_path / "hq.db") as store:
        assert store.submit(Enrol("T1", "till", "L1", TOKEN, actor=ADMIN), fails).wait() is None


def test_a_copy_takes_the_trail_of_its_source(tmp_path: Path) -> None:
    one, other = (new_ledger(tmp_path / name) for name in ("one.db", "other.db"))
    change(one, Enrol("T1", "till", "L1", TOKEN))
    with pytest.raises(StoreError):
        change(other, RevokeTerminal("T9"))
    assert copy(one, other).is_equal
    assert [entry.request for entry in entries(other)] == ["enrol"]


def test_no_body_and_no_token_hash_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path / "hq.db") as store, pytest.raises(StoreError):
        administer(store, lambda connection: connection.exec_driver_sql("INSERT INTO audit VALUES (?)", (TOKEN,)))
    assert "event=job_failed" in caplog.text
    assert TOKEN not in caplog.text
