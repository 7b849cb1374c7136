"""Several servers on one database are one headquarters: one ledger, one fence, one answer for each id."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from inventory_server.store import LedgerStore
from inventory_server.store.admin.terminals import revoke_terminal
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.ledgers import NOON, Till, body, find, hello, history, level, opened, post, proof_of, stock, uid
from tests.support.maintenance import administer
from tests.support.sites import on_postgresql

SALE = body("sale", ("a", 1))
SERVERS, TILLS, SALES = 3, 6, 25
pytestmark = on_postgresql


@pytest.fixture
def servers(ledger: str) -> Iterator[list[LedgerStore]]:
    with ExitStack() as running:
        yield [running.enter_context(opened(ledger)) for _ in range(SERVERS)]
    proof = proof_of(ledger)
    assert proof.holds, proof.findings


def test_a_till_may_reconnect_anywhere_and_its_old_connection_is_fenced(servers: list[LedgerStore]) -> None:
    first = Till(servers[0])
    first.posts(SALE)
    second = Till(servers[1])
    assert second.welcome.parent != first.welcome.parent
    assert second.welcome.acked_seq == 1
    with pytest.raises(RequestError) as refused:
        first.posts(SALE)
    assert refused.value.code is ErrorCode.fenced
    assert second.posts(SALE).status == "posted"
    assert level(servers[2]).on_hand == -2


def test_an_id_is_posted_once_wherever_it_is_sent(servers: list[LedgerStore]) -> None:
    tills = [Till(server, f"T{number}") for number, server in enumerate(servers)]
    items = [till.item(SALE, uid("one")) for till in tills]
    statuses: list[str] = []

    def send(till: Till, number: int) -> None:
        statuses.append(post(till.store, till.speaker, items[number]).results[0].status)

    threads = [threading.Thread(target=send, args=(till, number)) for number, till in enumerate(tills)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == ["duplicate", "duplicate", "posted"]
    assert {find(server, uid("one")).position for server in servers} == {1}


def test_what_one_server_refused_is_refused_by_all(servers: list[LedgerStore]) -> None:
    wrong = body("sale", ("a", 1), location="elsewhere")
    refused = [Till(server, f"T{number}").posts(wrong, uid("wrong")) for number, server in enumerate(servers)]
    assert {(each.status, each.reason) for each in refused} == {("rejected", refused[0].reason)}


def test_a_revocation_holds_on_every_server_at_once(servers: list[LedgerStore]) -> None:
    till = Till(servers[0])
    till.posts(SALE)
    administer(servers[1], lambda connection: revoke_terminal(connection, "T1", NOON))
    with pytest.raises(RequestError) as refused:
        till.posts(SALE)
    assert refused.value.code is ErrorCode.forbidden


def test_every_server_sees_every_till_of_a_location(servers: list[LedgerStore]) -> None:
    for number, server in enumerate(servers):
        hello(server, f"T{number}", "L1", uid(number))
    Till(servers[0], "T9").posts(SALE)
    for server in servers:
        assert stock(server, location="L1").completeness["L1"].tills == SERVERS + 1


@pytest.mark.long
def test_positions_have_no_gap_and_follow_the_order_of_commits(servers: list[LedgerStore]) -> None:
    """All sell the same sku at the same locations, so that whatever could be overwritten would be."""
    seen: list[int] = []

    def sell(number: int) -> None:
        till = Till(servers[number % SERVERS], f"T{number}", f"L{number % 2}")
        for _ in range(SALES):
            position = till.posts(SALE).position
            assert position is not None
            assert history(servers[(number + 1) % SERVERS], limit=10_000).entries[-1].position >= position
            seen.append(position)

    threads = [threading.Thread(target=sell, args=(number,)) for number in range(TILLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, TILLS * SALES + 1))
    found = {item.location: item.on_hand for item in stock(servers[0], sku="a").items}
    assert found == {"L0": -TILLS * SALES / 2, "L1": -TILLS * SALES / 2}
