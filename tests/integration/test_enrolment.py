"""Enrolment by a one-time code, from the outside: HQ proves itself first, the till then, once, and not by guessing."""

from __future__ import annotations

import json
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inventory_server.admin.control_socket import ControlServer
from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.limits import CODE_SECONDS, CODE_TRIES_MAX
from inventory_server.jsonserver import EncodedReply, JsonHandler, SendReply, ServerFactory, ServerTls
from inventory_server.store import open_store
from pos_client import ConnectionLost, HqRefused, PosClient, RequestError
from pos_client.protocol.address import Address
from pos_client.protocol.enrolment import (
    EnrolBeginParams,
    EnrolBeginResult,
    EnrolFinishParams,
    code_key,
    new_code,
    read_code,
)
from pos_client.protocol.wire import decode_frame, decode_params, encode_result
from pos_client.transport.connection import Connection
from pos_client.transport.enrolling import Enrolment, NotEnrolled, enrol
from tests.support.authorities import Files, certified
from tests.support.commands import Done, Shell, headquarters
from tests.support.ledgers import new_ledger
from tests.support.lines import ANYWHERE
from tests.support.waiting import HANG_SECONDS


class Hq:
    """Headquarters with TLS on a ledger of its own, its clock, and the command `inventory-server` on it."""

    def __init__(self, shell: Shell, url: str, address: Address, files: Files) -> None:
        self.shell, self.url, self.address, self.files = shell, url, address, files
        self.ahead_seconds = 0

    def __call__(self, *arguments: str | Path) -> Done:
        return self.shell("inventory-server", *arguments, "--db", self.url)

    def code(self, *arguments: str) -> str:
        """The code that `terminal` prints with these arguments."""
        done = self("terminal", *arguments, "--code", "--json")
        assert done.code == 0, done.err
        return str(json.loads(done.out)["code"])

    def offers(self) -> int:
        """How many codes HQ knows at the moment."""
        with closing(Connection.open(self.address, tls=self.files.ca)) as connection:
            begun: EnrolBeginResult = connection.request("enrol_begin", EnrolBeginParams("00" * 32))
            return len(begun.offers)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def hq(shell: Shell, tmp_path: Path) -> Iterator[Hq]:
    with served(shell, tmp_path) as found:
        yield found


@contextmanager
def served(shell: Shell, folder: Path) -> Iterator[Hq]:
    def clock() -> int:
        return now_microseconds() + found.ahead_seconds * 1_000_000

    url = new_ledger(folder / "hq.db")
    store = open_store(url, Settings(), clock)
    files = certified(folder)
    tls = ServerTls(files.certificate, files.key, [])
    application = Application(Settings(), store, [ANYWHERE], clock=clock, tls=tls)
    control = ControlServer(url, store, Settings(), clock, application.clients)
    application.start()
    control.start()
    found = Hq(shell, url, application.addresses[0], files)
    try:
        yield found
    finally:
        control.stop(5)
        application.stop()


def test_a_till_enrols_with_a_code_sells_is_revoked_and_is_refused_at_its_next_frame(
    hq: Hq, shell: Shell, tmp_path: Path
) -> None:
    added = hq("terminal", "add", "north-1", "--location", "north", "--code")
    assert added.out.startswith(
        "Enrolled the till north-1 at north. Within 15 minutes, at the till: pos-client enroll HQ "
    )
    code = added.out.split()[-1]
    assert list(tmp_path.glob("*.token")) == []
    typed = f"{code[:5].lower()}-{code[5:]}"
    enrolled = shell("pos-client", "enroll", str(hq.address), typed, "--outbox", "till.db")
    said = "Enrolled as the till north-1 at north. Its token is in till.db.token, HQ's authority in till.db.ca.pem.\n"
    assert (enrolled.code, enrolled.out, enrolled.err) == (0, said, "")
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("till.db*")}
    assert kept == {"till.db.token": 0o600, "till.db.ca.pem": 0o600}
    assert (tmp_path / "till.db.ca.pem").read_text() == hq.files.ca.read_text()
    till = ("--server", str(hq.address), "--terminal", "north-1", "--location", "north", "--outbox", "till.db")
    sold = shell("pos-client", "sell", "x=2", *till, "--wait", str(HANG_SECONDS))
    assert (sold.code, sold.out.split()[1], sold.err) == (0, "posted", "")
    assert "answers at" in shell("pos-client", "status", "--server", str(hq.address), "--outbox", "till.db").out
    with PosClient(str(hq.address), terminal="north-1", outbox="till.db") as client:
        client.sell([("x", 1)]).wait(HANG_SECONDS)
        assert hq("terminal", "revoke", "north-1").code == 0
        refused = client.sell([("x", 1)])
        with pytest.raises(HqRefused, match="Terminal north-1 was revoked or has a new token"):
            refused.wait(HANG_SECONDS)
        assert client.status().pending == 1
    requests = [(each["request"], each["outcome"]) for each in json.loads(hq("audit", "--json").out)]
    assert requests == [("enrol", "done"), ("enrol_finish", "done"), ("revoke", "done")]
    trail, token = hq("audit", "--json").out, (tmp_path / "till.db.token").read_text().strip()
    assert code not in trail
    assert token not in trail
    assert hq("verify").code == 0


def test_a_code_is_good_once_and_the_last_one_only(hq: Hq, tmp_path: Path) -> None:
    first = hq.code("add", "t1", "--location", "A")
    second = hq.code("rotate", "t1")
    with pytest.raises(NotEnrolled, match="does not know this code: type it again; it is valid for 15 minutes, once"):
        enrol(hq.address, first, lambda _: None)
    done = enrol(hq.address, second, lambda _: None)
    assert (done.terminal, done.role, done.location) == ("t1", "till", "A")
    assert hq.offers() == 0
    with pytest.raises(NotEnrolled):
        enrol(hq.address, second, lambda _: None)


def test_a_code_expires(hq: Hq) -> None:
    code = hq.code("add", "t1", "--location", "A")
    hq.ahead_seconds = CODE_SECONDS - 30
    assert hq.offers() == 1
    hq.ahead_seconds = CODE_SECONDS + 1
    with pytest.raises(NotEnrolled):
        enrol(hq.address, code, lambda _: None)


def test_a_revoked_terminal_has_no_code_any_more(hq: Hq) -> None:
    hq.code("add", "t1", "--location", "A")
    assert hq("terminal", "revoke", "t1").code == 0
    assert hq.offers() == 0


def test_a_code_that_is_guessed_at_is_locked(hq: Hq) -> None:
    """Each wrong answer is counted and audited, whatever connection it comes over; then the right one is no good."""
    code = hq.code("add", "t1", "--location", "A")
    for _ in range(CODE_TRIES_MAX):
        with closing(Connection.open(hq.address, tls=hq.files.ca)) as connection:
            begun = connection.request("enrol_begin", EnrolBeginParams("00" * 32))
            guess = EnrolFinishParams(begun.offers[0].salt, "00" * 32)
            with pytest.raises(RequestError, match="Terminal t1 was not enrolled: the code is wrong"):
                connection.request("enrol_finish", guess)
            with pytest.raises(ConnectionLost):
                connection.request("enrol_finish", guess)
    assert hq.offers() == 0
    with pytest.raises(NotEnrolled):
        enrol(hq.address, code, lambda _: None)
    audited = json.loads(hq("audit", "--json").out)
    assert [each["outcome"] for each in audited[1:]] == ["refused: the code is wrong"] * CODE_TRIES_MAX
    assert {(each["actor"], each["role"]) for each in audited[1:]} == {("a till that enrols", "nobody")}


def test_a_code_that_another_till_uses_meanwhile_is_no_good(hq: Hq) -> None:
    code = hq.code("add", "t1", "--location", "A")
    used: list[Enrolment] = []
    with pytest.raises(RequestError, match="the code is used, expired or locked"):
        enrol(hq.address, code, lambda _: used.append(enrol(hq.address, code, lambda _: None)))
    assert [each.terminal for each in used] == ["t1"]


def test_what_fails_at_the_till_leaves_the_code_valid(hq: Hq, shell: Shell, tmp_path: Path) -> None:
    code = hq.code("add", "t1", "--location", "A")
    nowhere = shell("pos-client", "enroll", str(hq.address), code, "--outbox", tmp_path / "gone" / "till.db")
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "No such file or directory" in nowhere.err
    elsewhere = shell("pos-client", "enroll", f"127.0.0.2:{hq.address.port}", code)
    assert elsewhere.code == 2
    assert shell("pos-client", "enroll", str(hq.address), "ABC").err.startswith(
        "pos-client: Expected a code of 10 letters"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pos_client.transport.enrolling.proof", lambda *_: "00" * 32)
        wrong = shell("pos-client", "enroll", str(hq.address), code)
    assert (wrong.code, "Terminal t1 was not enrolled: the code is wrong." in wrong.err) == (2, True)
    assert list(tmp_path.glob("till.db*")) == []
    assert shell("pos-client", "enroll", str(hq.address), code).code == 0


def test_an_address_that_the_certificate_does_not_name_is_found_before_the_code_is_used(
    hq: Hq, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = hq.code("add", "t1", "--location", "A")
    monkeypatch.setattr("pos_client.transport.enrolling.authority_context", lambda _: ssl.create_default_context())
    with pytest.raises(NotEnrolled, match=r"its certificate cannot be trusted: .*The code is still valid"):
        enrol(hq.address, code, lambda _: None)
    assert hq.offers() == 1


def test_whoever_stands_between_till_and_hq_is_found_out(hq: Hq, tmp_path: Path) -> None:
    """It shows a certificate of its own, and can only pass on proofs that are about HQ's."""
    code = hq.code("add", "t1", "--location", "A")
    (tmp_path / "evil").mkdir()
    evil = certified(tmp_path / "evil", above="Evil")

    def relayed(request: str, params: Any) -> Any:
        with closing(Connection.open(hq.address, tls=hq.files.ca)) as connection:
            return connection.request(request, params)

    with impostor(evil, relayed) as address, pytest.raises(NotEnrolled, match="something between this till and HQ"):
        enrol(address, code, lambda _: pytest.fail("it was trusted"))
    assert hq.offers() == 1


@contextmanager
def impostor(files: Files, relayed: Callable[[str, Any], Any]) -> Iterator[Address]:
    class Between(JsonHandler):
        def handle_frame(self, frame: bytes, answer: SendReply) -> None:
            request = decode_frame(frame)
            assert not isinstance(request, list)
            result = relayed(request.method, decode_params(request))
            answer(EncodedReply(encode_result(request.id, result), close=False))  # type: ignore[arg-type]

    with ServerFactory(Between, "127.0.0.1:0", tls=ServerTls(files.certificate, files.key)) as server:
        yield Address(*server.addresses[0])


def test_without_tls_no_code_is_taken_and_no_salt_that_was_not_offered(hq: Hq, tmp_path: Path) -> None:
    hq.code("add", "t1", "--location", "A")
    with closing(Connection.open(hq.address, tls=hq.files.ca)) as connection:
        with pytest.raises(RequestError, match="Nothing was offered with this salt: call enrol_begin first"):
            connection.request("enrol_finish", EnrolFinishParams("00" * 16, "00" * 32))
        connection.request("enrol_begin", EnrolBeginParams("00" * 32))
        with pytest.raises(RequestError, match="Nothing was offered with this salt"):
            connection.request("enrol_finish", EnrolFinishParams("00" * 16, "00" * 32))


def test_a_server_without_tls_says_so(tmp_path: Path, shell: Shell) -> None:
    with headquarters(tmp_path, dev=False) as (address, _):
        with (
            closing(Connection.open(address)) as connection,
            pytest.raises(RequestError, match="A code is for connections with TLS"),
        ):
            connection.request("enrol_begin", EnrolBeginParams("00" * 32))
        done = shell("pos-client", "enroll", address, "ABCDEFGHIJ")
        assert (done.code, "cannot be reached with TLS" in done.err) == (2, True)


def test_the_codes_that_wait_are_few(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory_server.store.admin.codes.CODES_MAX", 2)
    hq.code("add", "t1", "--location", "A")
    hq.code("add", "t2", "--location", "A")
    full = hq("terminal", "add", "t3", "--location", "A", "--code")
    assert (full.code, full.out) == (2, "")
    assert "2 codes wait to be used: have some tills enrol first, or wait until codes expire." in full.err
    assert "t3" not in hq("terminal", "list").out
    hq.code("rotate", "t1")
    assert hq.offers() == 2


def test_a_code_and_a_token_file_exclude_each_other(hq: Hq) -> None:
    done = hq("terminal", "add", "t1", "--location", "A", "--code", "--token-file", "x")
    assert (done.code, "--code writes no token here: leave out --token-file" in done.err) == (2, True)


def test_a_code_is_read_as_people_type_it() -> None:
    assert read_code("abcde-fghij") == read_code(" ABCDE FGHIJ ") == "ABCDEFGHIJ"
    assert read_code("0O1I8B2345") == "OOIIBB2345"
    assert [read_code(text) for text in ("", "ABCDEFGHI", "ABCDEFGHIJK", "ABCDEFGHI9", "ÄBCDEFGHIJ")] == [None] * 5
    code = new_code(bytes(range(10)))
    assert (code, read_code(code)) == ("ABCDEFGHIJ", "ABCDEFGHIJ")
    assert code_key(code, b"salt" * 4) != code_key(code, b"tlas" * 4)
