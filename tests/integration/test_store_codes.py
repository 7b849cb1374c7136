"""One-time codes in the store, on every database: which are valid, and what redeeming one comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inventory_server.domain.answers import Redeemed, ValidCode
from inventory_server.domain.changes import EnrolmentCode
from inventory_server.domain.door import perform
from inventory_server.domain.limits import CODE_TRIES_MAX
from inventory_server.domain.requests import Enrol, Hello, ListCodes, RedeemCode, RevokeTerminal, RotateToken
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.store import LedgerStore
from pos_client.protocol.enrolment import proof
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.ledgers import NOON, Clock, opened

STRANGER = User("a till that enrols", "nobody", "192.0.2.1:1")
SAID = b"nonces and certificate"
OTHER = "the code is used, expired or locked"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def store(ledger: str, clock: Clock) -> Iterator[LedgerStore]:
    with opened(ledger, clock) as store:
        yield store


def code(name: bytes = b"1", until: int = NOON + 1_000) -> EnrolmentCode:
    return EnrolmentCode(name * 16, b"key " + name, until)


def change(store: LedgerStore, request: Any) -> None:
    perform(
        store, type(request)(**{**{f: getattr(request, f) for f in request.__struct_fields__}, "actor": HEADQUARTERS})
    )


def valid(store: LedgerStore) -> list[ValidCode]:
    found: list[ValidCode] = store.ask(ListCodes(actor=STRANGER))
    return found


def redeemed(store: LedgerStore, offered: EnrolmentCode, key: bytes | None = None) -> Redeemed:
    said = proof(offered.key if key is None else key, "till", SAID)
    found: Redeemed = perform(store, RedeemCode("T1", offered.salt, said, SAID, "token", actor=STRANGER))
    return found


def says_hello(store: LedgerStore, token: str) -> Any:
    return perform(store, Hello("T1", token, False, None, None, None, None))


def test_a_code_stands_for_a_token_once(store: LedgerStore) -> None:
    change(store, Enrol("T1", "till", "L1", code=code()))
    assert valid(store) == [ValidCode("T1", code().salt, code().key)]
    with pytest.raises(RequestError):
        says_hello(store, "")
    assert redeemed(store, code()) == Redeemed("T1", "till", "L1")
    assert valid(store) == []
    assert says_hello(store, "token").speaker.location == "L1"
    assert redeemed(store, code()) == Redeemed("T1", refused=OTHER)


def test_a_code_ends_with_its_time_its_tries_a_new_one_or_a_revocation(store: LedgerStore, clock: Clock) -> None:
    change(store, Enrol("T1", "till", "L1", code=code()))
    for _ in range(CODE_TRIES_MAX):
        assert redeemed(store, code(), b"guessed") == Redeemed("T1", refused="the code is wrong")
    assert (valid(store), redeemed(store, code())) == ([], Redeemed("T1", refused=OTHER))
    change(store, RotateToken("T1", code=code(b"2")))
    change(store, RotateToken("T1", code=code(b"3")))
    assert [each.salt for each in valid(store)] == [code(b"3").salt]
    assert redeemed(store, code(b"2")).refused == OTHER
    clock.now += 1_000
    assert (valid(store), redeemed(store, code(b"3")).refused) == ([], OTHER)
    change(store, RotateToken("T1", code=code(b"4", NOON + 9_000)))
    change(store, RevokeTerminal("T1"))
    assert valid(store) == []


def test_a_code_ends_the_connections_of_the_device_before(store: LedgerStore) -> None:
    change(store, Enrol("T1", "reader", "L1", "old"))
    before = says_hello(store, "old").speaker
    change(store, RotateToken("T1", code=code()))
    with pytest.raises(RequestError):
        says_hello(store, "old")
    redeemed(store, code())
    assert says_hello(store, "token").speaker.epoch != before.epoch


def test_only_a_stranger_redeems_a_code_and_only_for_itself(store: LedgerStore) -> None:
    change(store, Enrol("T1", "till", "L1", code=code()))
    for request in (ListCodes(actor=HEADQUARTERS), RedeemCode("T1", b"", "", b"", "t", actor=HEADQUARTERS)):
        with pytest.raises(RequestError) as refused:
            perform(store, request)
        assert refused.value.code is ErrorCode.forbidden
    elsewhere = RedeemCode("T2", code().salt, proof(code().key, "till", SAID), SAID, "token", actor=STRANGER)
    assert perform(store, elsewhere) == Redeemed("T2", refused=OTHER)
