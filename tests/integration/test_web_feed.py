"""The feed as server-sent events: every position once, in order, from any event on; and it ends with a mark."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from starlette.applications import Starlette

from inventory_server.config import FEED_SEND_BYTES
from inventory_server.domain.people import AddToken, AddUser
from inventory_server.domain.requests import Enrol
from inventory_server.web import admission, connections, streams
from inventory_server.web.people import key_hash
from pos_client.protocol.address import Address
from tests.support.commands import headquarters
from tests.support.edge import LineClient
from tests.support.maintenance import change
from tests.support.waiting import wait_until
from tests.support.web import EventReader, application_of, serving

LATER = 2**62


class Hq(NamedTuple):
    till: Address
    url: str
    application: Starlette
    web: Address

    def sell(self, number: int, location: str = "L1", sku: str = "a") -> None:
        """So many sales, in frames of 100."""
        body = {"type": "sale", "occurred_at": "2026-01-01T00:00:00Z", "lines": [{"sku": sku, "quantity": 1}]}
        with LineClient(self.till) as till:
            till.call("hello", terminal=location, token="secret")
            while number > 0:
                items = [{"id": str(uuid4()), "body": body} for _ in range(min(number, 100))]
                assert "result" in till.call("post", postings=items)
                number -= 100


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Hq]:
    with headquarters(tmp_path, dev=False, control=True) as (address, url):
        for location in ("L1", "L2"):
            change(url, Enrol(location, "till", location, "secret"))
        change(url, AddUser("kim", "reader", b"link", LATER))
        change(url, AddToken("kim", "test", key_hash("token")))
        host, port = address.split(":")
        with application_of(url) as application, serving(application) as web:
            yield Hq(Address(host, int(port)), url, application, web)


def positions(reader: EventReader, number: int) -> list[int]:
    """The ids of so many events, which are those in their data."""
    found = []
    for _ in range(number):
        event = reader.next()
        assert event["event"] == "changed"
        assert json.loads(event["data"])["position"] == int(event["id"])
        found.append(int(event["id"]))
    return found


def test_a_reader_gets_each_position_once_and_goes_on_after_the_last_event(hq: Hq) -> None:
    with EventReader(hq.web) as reader:
        reader.begun()
        hq.sell(3)
        assert positions(reader, 3) == [1, 2, 3]
    hq.sell(250)
    with EventReader(hq.web, last=2) as reader:
        assert positions(reader.begun(), 251) == list(range(3, 254))
    with EventReader(hq.web, "?from=250", last=252) as reader:
        assert positions(reader.begun(), 1) == [253], "the header wins: a browser opens the same address again"


def test_a_reader_gets_what_it_asked_for(hq: Hq) -> None:
    hq.sell(2, "L1", "a")
    hq.sell(2, "L2", "a")
    hq.sell(2, "L1", "b")
    with EventReader(hq.web, "?from=0&locations=L1&skus=b&skus=c") as reader:
        assert positions(reader.begun(), 2) == [5, 6]
    with EventReader(hq.web, "?from=0&locations=L2") as reader:
        assert positions(reader.begun(), 2) == [3, 4]


@pytest.mark.parametrize(("query", "last"), [("?from=9", None), ("?frm=1", None), ("", 10**17)])
def test_a_wrong_question_is_refused(query: str, last: int | None, hq: Hq) -> None:
    with EventReader(hq.web, query, last=last) as reader:
        assert reader.status == 400
        assert b'"path":"$.' in reader.rest()


def test_nobody_reads_without_a_token(hq: Hq) -> None:
    with EventReader(hq.web, token="wrong") as reader:
        assert reader.status == 401


def test_a_stream_ends_with_a_mark_when_the_process_stops(hq: Hq) -> None:
    with EventReader(hq.web) as reader:
        reader.begun()
        hq.application.state.streams._open.copy().popitem()[0]._loop.call_soon_threadsafe(
            hq.application.state.streams.end_all
        )
        assert reader.next() == {"event": "end", "data": '{"reason":"stopping"}'}
        assert reader.rest() == b""
    with EventReader(hq.web) as late:
        assert late.status == 503
        assert b'"name":"draining"' in late.rest()


def test_a_stream_is_opened_anew_after_its_time(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FEED_SECONDS", 0.05)
    with EventReader(hq.web) as reader:
        assert reader.begun().next() == {"event": "end", "data": '{"reason":"renew"}'}


def test_only_so_many_feeds_are_open_in_all_and_of_a_user(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEEDS_OF_USER_MAX", "FEEDS_MAX"):
        with monkeypatch.context() as patch:
            patch.setattr(streams, name, 1)
            with EventReader(hq.web) as reader:
                reader.begun()
                with EventReader(hq.web) as one_more:
                    assert one_more.status == 503
                    assert b'"name":"busy"' in one_more.rest()
            wait_until(lambda: not hq.application.state.streams._open)


def test_a_reader_that_takes_nothing_is_cut_off_and_others_go_on(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "STALL_SECONDS", 0.2)
    hq.sell(100, sku="s" * 64)
    stalled = socket.create_connection((hq.web.host, hq.web.port))
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stalled.sendall(b"GET /api/v1/feed?from=0 HTTP/1.0\r\nHost: hq\r\nAuthorization: Bearer token\r\n\r\n")
    held = hq.application.state.streams
    wait_until(lambda: held._open)
    [stream] = held._open
    with EventReader(hq.web, "?from=50") as other:
        other.begun()
        sold = 100
        while stream in held._open:
            hq.sell(200, sku="s" * 64)
            sold += 200
            assert held.unsent_bytes <= 3 * FEED_SEND_BYTES
        assert positions(other, sold - 50) == list(range(51, sold + 1))
    stalled.close()
    wait_until(lambda: not held._open)
    assert held.unsent_bytes == 0


def test_readers_that_wait_get_no_more_while_too_much_is_unsent(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FEED_UNSENT_BYTES_MAX", 0)
    with EventReader(hq.web, "?from=0") as reader:
        reader.begun()
        hq.sell(3)
        monkeypatch.setattr(streams, "FEED_UNSENT_BYTES_MAX", 1)
        assert positions(reader, 3) == [1, 2, 3]


def test_connections_are_module_state_of_nobody() -> None:
    assert connections.unsent_bytes() == 0
