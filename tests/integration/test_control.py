"""Administration while a server runs: through its control socket, however long the path of the database is."""

import json
import os
from pathlib import Path

import pytest

from inventory_server.admin.control_socket import ControlServer, ProgressNotifier, this_user
from inventory_server.clock import now_microseconds
from inventory_server.config import PROGRESS_SECONDS, Settings
from inventory_server.domain.answers import Client
from inventory_server.domain.door import OutcomeUnknown
from inventory_server.domain.product import Product
from inventory_server.domain.requests import (
    CloseBooks,
    Enrol,
    ImportProducts,
    ListTerminals,
    RevokeTerminal,
    RotateToken,
)
from inventory_server.domain.roles import User
from inventory_server.store import StoreError, open_store
from inventory_server.store.ledger import tables
from pos_client.protocol.address import Address
from pos_client.protocol.fields import Role
from tests.support.commands import Shell, headquarters
from tests.support.edge import LineClient, MemoryStore, raising
from tests.support.ledgers import new_ledger
from tests.support.maintenance import ask, change


def no_clients() -> list[Client]:
    return []


@pytest.mark.parametrize("folder", ["db", "d" * 120])
def test_a_running_server_carries_out_an_administrators_command(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    url = new_ledger(tmp_path / folder / "hq.db")
    store = open_store(url, Settings(), now_microseconds)
    control = ControlServer(url, store, Settings(), now_microseconds, no_clients)
    control.start()
    try:
        change(url, Enrol("T1", "till", "Station", "secret"))
        with pytest.raises(StoreError, match="T1 exists already"):
            change(url, Enrol("T1", "till", "Station", "secret"))
    finally:
        control.stop(1)
        store.close()
    assert [row.terminal for row in ask(url, ListTerminals())] == ["T1"]


def test_an_import_reaches_a_server_whose_tills_send_small_frames(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    small = Settings(max_frame_bytes=1 << 16)
    store = open_store(url, small, now_microseconds)
    control = ControlServer(url, store, small, now_microseconds, no_clients)
    control.start()
    products = [Product(sku=f"sku-{number}", name="n" * 100) for number in range(1_000)]
    try:
        assert change(url, ImportProducts(products)) == 1_000
    finally:
        control.stop(1)
        store.close()


def test_a_server_that_does_not_listen_is_named(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    store = open_store(url, Settings(), now_microseconds)
    try:
        with pytest.raises(StoreError, match="does not answer"):
            change(url, Enrol("T1", "till", "Station", "secret"))
    finally:
        store.close()


def test_progress_is_told_at_most_once_a_second() -> None:
    sent: list[bytes] = []
    now = 0.0
    progress = ProgressNotifier(sent.append, lambda: now)
    for done in range(9):
        now = done * PROGRESS_SECONDS / 3
        progress(done, 9)
    assert [json.loads(line)["params"]["done"] for line in sent] == [0, 3, 6]
    assert sent[0] == b'{"jsonrpc":"2.0","method":"progress","params":{"done":0,"total":9}}\n'


def test_a_long_change_and_a_long_question_tell_their_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
    address = Address.unix(str(tmp_path / "hq.db.control"))
    told: list[tuple[int, int]] = []
    with headquarters(tmp_path, dev=False, control=True) as (port, url):
        change(url, Enrol("T1", "till", "L1", "secret"))
        host, _, number = port.rpartition(":")
        sale = {"type": "sale", "occurred_at": "2026-01-01T00:00:00Z", "lines": [{"sku": "a", "quantity": 1}]}
        with LineClient(Address(host, int(number))) as till:
            till.call("hello", terminal="T1", token="secret")
            till.call(
                "post", postings=[{"id": f"019ceb81-a1b2-7bd9-9d9a-00000000000{n}", "body": sale} for n in range(5)]
            )
        assert change(url, CloseBooks(), progress=lambda *steps: told.append(steps)) is not None
        with LineClient(address) as client:
            first = client.call("verify")
            while "method" in first:
                notification, first = first, json.loads(client.read_line())
            assert notification["params"].keys() == {"done", "total"}
            assert (first["id"], first["result"]["postings"]) == (1, 5)
    assert told == [(3, 3)], "the movements of the closed segment"


def test_a_refusal_of_the_running_server_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(monkeypatch, capsys)
    with headquarters(tmp_path, dev=False, control=True) as (_, url):
        served = shell("inventory-server", "terminal", "revoke", "T9", "--db", url)
    alone = shell("inventory-server", "terminal", "revoke", "T9", "--db", url)
    assert served == alone
    assert (served.code, served.out, served.err.count("\n")) == (2, "", 1)
    assert served.err.startswith("inventory-server: There is no terminal T9")


def test_a_server_without_a_place_for_an_administrator_is_named(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    settings = Settings(max_connections=1)
    store = open_store(url, settings, now_microseconds)
    control = ControlServer(url, store, settings, now_microseconds, no_clients)
    control.start()
    try:
        with LineClient(Address.unix(f"{tmp_path}/hq.db.control")) as other:
            other.call("ping")
            with pytest.raises(StoreError, match=r"does not answer at .*hq\.db\.control: .*connections"):
                change(url, Enrol("T1", "till", "Station", "secret"))
    finally:
        control.stop(1)
        store.close()


def test_an_administrator_hears_that_the_outcome_is_unknown(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    store = open_store(url, Settings(), now_microseconds)
    control = ControlServer(url, MemoryStore(raising(OutcomeUnknown("lost"))), Settings(), now_microseconds, no_clients)
    control.start()
    try:
        with pytest.raises(
            StoreError, match=r"^Outcome unknown: it may have been applied \(.*Check before retrying\.$"
        ):
            change(url, Enrol("T1", "till", "Station", "secret"))
    finally:
        control.stop(1)
        store.close()


def test_an_administrator_whom_the_system_has_no_name_for_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert this_user("test") == User("uid 3999999999", "admin", "test")


QUESTIONS: dict[str, dict[str, object]] = {
    "stock": {},
    "history": {"sku": "a"},
    "posting": {"id": "019ceb81-a1b2-7bd9-9d9a-d47c2ebdbb37"},
}


@pytest.mark.parametrize(("role", "name"), [("reader", "forbidden"), ("operator", "fenced"), ("till", "fenced")])
def test_a_connection_opened_with_the_old_token_does_no_more_work(role: Role, name: str, tmp_path: Path) -> None:
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        change(url, Enrol("T1", role, "HQ", "old"))
        host, port = address.split(":")
        with LineClient(Address(host, int(port))) as client:
            client.call("hello", terminal="T1", token="old")
            change(url, RotateToken("T1", "new"))
            sale = {"type": "sale", "occurred_at": "2026-01-01T00:00:00Z", "lines": [{"sku": "a", "quantity": 1}]}
            item = {"id": "019ceb81-a1b2-7bd9-9d9a-d47c2ebdbb37", "body": sale}
            reply = client.call("stock") if role == "reader" else client.call("post", postings=[item])
            assert reply["error"]["data"]["name"] == name
            assert client.call("hello", terminal="T1", token="old")["error"]["data"]["name"] == "unauthenticated"
            assert client.call("hello", terminal="T1", token="new")["result"]["role"] == role


@pytest.mark.parametrize("method", QUESTIONS)
def test_a_revoked_reader_gets_no_more_answers_on_its_open_connection(method: str, tmp_path: Path) -> None:
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        change(url, Enrol("office", "reader", "HQ", "secret"))
        host, port = address.split(":")
        with LineClient(Address(host, int(port))) as client:
            client.call("hello", terminal="office", token="secret")
            assert client.call("stock")["result"]["items"] == []
            change(url, RevokeTerminal("office"))
            error = client.call(method, **QUESTIONS[method])["error"]
            assert error["code"] == -32002
            assert error["message"] == (
                "Terminal office was revoked or has a new token: configure that, or ask the operator for "
                "`inventory-server terminal rotate office`."
            )


def test_what_an_administrator_asks_in_vain_is_no_failure_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        headquarters(tmp_path, dev=False, control=True) as (_, url),
        pytest.raises(StoreError, match="There is no terminal T9"),
    ):
        change(url, RevokeTerminal("T9"))
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_server_that_is_going_down_tells_an_administrator_so(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    store = open_store(url, Settings(), now_microseconds)
    control = ControlServer(url, store, Settings(), now_microseconds, no_clients)
    control.start()
    store._writer.close()
    try:
        with pytest.raises(StoreError, match="The server is shutting down; send again to its successor"):
            change(url, RevokeTerminal("T1"))
    finally:
        control.stop(1)
        store.close()
