"""Posting over HTTP: the wire's ids and semantics; a body that is sent both ways is counted once."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from inventory_server.domain.requests import Enrol, FindPosting, ListAudit, RevokeTerminal, Stock
from inventory_server.web.limits import BODY_BYTES_MAX
from pos_client.protocol.address import Address
from pos_client.protocol.fields import Role
from pos_client.protocol.messages import PostingParams, StockParams
from tests.support.commands import headquarters
from tests.support.edge import LineClient
from tests.support.maintenance import ask, change, verified
from tests.support.web import application_of, client_of

LINEAGE = "019ceb81-a1b2-7bd9-9d9a-aaaaaaaaaaaa"
SALE = b'{"type":"sale","occurred_at":"2026-01-01T00:00:00Z","location":"L1","lines":[{"sku":"a","quantity":2}]}'


def uid(number: int) -> str:
    return f"019ceb81-a1b2-7bd9-9d9a-{number:012d}"


def basic(terminal: str, token: str = "secret") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{terminal}:{token}'.encode()).decode()}"}


class Shop(NamedTuple):
    """A server with the tills T1 (L1) and T2 (L2), an operator and a reader, and the web application."""

    address: Address
    url: str
    client: TestClient

    def put(self, number: int, body: bytes = SALE, terminal: str = "T1", query: str = "") -> Any:
        return self.client.put(f"/api/v1/postings/{uid(number)}{query}", content=body, headers=basic(terminal))

    def over_the_wire(self, number: int, body: bytes = SALE, terminal: str = "T1") -> dict[str, Any]:
        with LineClient(self.address) as till:
            till.call("hello", terminal=terminal, token="secret")
            post = b'{"id":9,"method":"post","params":{"postings":[{"id":"%s","body":%s}]}}\n'
            till.send(post % (uid(number).encode(), body))
            result: dict[str, Any] = json.loads(till.read_line())["result"]["results"][0]
            return result

    def on_hand(self) -> Any:
        return ask(self.url, Stock(StockParams(), None)).items[0].on_hand


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    roles: list[tuple[str, Role, str]] = [
        *(("T1", "till", "L1"), ("T2", "till", "L2"), ("hq1", "operator", "office"), ("r1", "reader", "office"))
    ]
    with headquarters(folder, dev=False, control=True) as (address, url):
        for name, role, location in roles:
            change(url, Enrol(name, role, location, "secret"))
        host, port = address.split(":")
        with application_of(url) as application:
            yield Shop(Address(host, int(port)), url, client_of(application))
    assert verified(url).findings == []


def test_a_posting_is_posted_once_whichever_way_it_comes_first(shop: Shop) -> None:
    first = shop.put(1)
    assert (first.status_code, first.json()["status"]) == (201, "posted")
    again = shop.put(1)
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    wired = shop.over_the_wire(1)
    assert wired["status"] == "duplicate"
    assert wired["position"] == first.json()["position"] == again.json()["position"]
    assert shop.over_the_wire(2)["status"] == "posted"
    assert shop.put(2).json()["status"] == "duplicate"


def test_the_body_is_kept_byte_for_byte(shop: Shop) -> None:
    spaced = SALE.replace(b",", b" ,\n\t") + b"\r\n"
    assert shop.put(3, b"\n " + spaced).json()["status"] == "posted"
    held = ask(shop.url, FindPosting(PostingParams(UUID(uid(3)))))
    assert bytes(held.body) == spaced.strip()
    assert held.digest == hashlib.sha256(spaced.strip()).hexdigest()
    assert shop.put(3).json()["status"] == "conflict", "the same sale in other bytes"


def test_other_content_under_the_same_id_is_a_conflict_and_a_wrong_body_rejected(shop: Shop) -> None:
    assert shop.put(4).status_code == 201
    conflict = shop.put(4, SALE.replace(b"2}", b"3}"))
    assert (conflict.status_code, conflict.json()["status"]) == (409, "conflict")
    rejected = shop.put(5, SALE.replace(b'"quantity":2', b'"quantity":2.123456'))
    assert (rejected.status_code, rejected.json()["status"]) == (422, "rejected")
    assert "$.lines[0].quantity" in rejected.json()["reason"]
    assert shop.put(5, SALE.replace(b'"quantity":2', b'"quantity":2.123456')).json() == rejected.json()


@pytest.mark.parametrize("body", [b"", b"{", SALE[:-1], SALE + b"{}", b"\xff", SALE + b"\x00", b"NaN"])
def test_what_is_no_json_is_recorded_nowhere(body: bytes, shop: Shop) -> None:
    answer = shop.put(6, body)
    assert (answer.status_code, answer.json()["name"]) == (400, "parse_error")
    assert shop.client.get("/api/v1/posting").status_code == 401
    assert shop.over_the_wire(600)["status"] in ("posted", "duplicate")


def test_a_batch_is_one_frame_with_a_result_for_each(shop: Shop) -> None:
    body = json.loads(SALE)
    items = [{"id": uid(10 + number), "body": body} for number in range(3)] + [{"id": uid(10), "body": body}]
    answer = shop.client.post("/api/v1/postings", json={"postings": items}, headers=basic("T1"))
    assert [each["status"] for each in answer.json()["results"]] == ["posted"] * 3 + ["duplicate"]
    assert answer.json().keys() == {"results", "position", "holes", "holes_total"}


def test_a_sequence_number_counts_in_its_lineage_and_finds_holes(shop: Shop) -> None:
    query = f"&lineage={LINEAGE}&boot={LINEAGE}&tick_ms=5"
    assert shop.put(20, query=f"?seq=1{query}").json()["status"] == "posted"
    sent = {"postings": [{"id": uid(21), "seq": 3, "body": json.loads(SALE)}]}
    answer = shop.client.post(f"/api/v1/postings?lineage={LINEAGE}", json=sent, headers=basic("T1"))
    assert answer.json()["holes"] == [[2, 2]]
    fork = shop.put(22, query=f"?seq=1{query}")
    assert (fork.status_code, fork.json()["name"]) == (409, "fork")
    assert shop.put(23, query=f"?seq=2{query}").json()["status"] == "posted"


@pytest.mark.parametrize(
    ("query", "path"),
    [("?seq=1", "$.lineage"), ("?sequence=1", "$.sequence"), ("?seq=x", "$.seq"), ("?boot=x", "$.boot")],
)
def test_a_wrong_query_parameter_is_named(query: str, path: str, shop: Shop) -> None:
    answer = shop.put(30, query=query)
    assert (answer.status_code, answer.json()["path"]) == (400, path)


@pytest.mark.parametrize("lacking", ["boot", "tick_ms"])
def test_half_a_tick_is_refused(lacking: str, shop: Shop) -> None:
    tick = {"boot": LINEAGE, "tick_ms": "5"}
    del tick[lacking]
    [(name, value)] = tick.items()
    answer = shop.put(31, query=f"?{name}={value}")
    assert (answer.status_code, answer.json()["path"]) == (400, f"$.postings[0].{lacking}")


def test_a_batch_says_what_is_wrong_with_it(shop: Shop) -> None:
    for sent, path in (
        ({"postings": []}, "$.postings"),
        ({"postings": [{"id": "x", "body": {}}]}, "$.postings[0].id"),
        ({"postings": [{"id": uid(32), "body": {}}], "parent": "0" * 64}, "$.parent"),
        ({"postings": [{"id": uid(32), "seq": 1, "body": {}}]}, "$.lineage"),
    ):
        answer = shop.client.post("/api/v1/postings", json=sent, headers=basic("T1"))
        assert (answer.status_code, answer.json()["path"]) == (400, path)


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !", "Basic eA==", "Bearer x", "Basic " + base64.b64encode(b"T1:wrong").decode(),
     "Basic " + base64.b64encode(b"T9:secret").decode(), "Basic " + base64.b64encode(b"hq:secret").decode()],
)  # fmt: skip
def test_who_gives_no_token_of_a_terminal_posts_nothing(authorization: str, shop: Shop) -> None:
    answer = shop.client.put(
        f"/api/v1/postings/{uid(33)}", content=SALE, headers={"Authorization": authorization} if authorization else {}
    )
    assert (answer.status_code, answer.json()["name"]) == (401, "unauthenticated")


def test_a_terminal_may_what_its_role_may(shop: Shop) -> None:
    assert shop.put(34, terminal="r1").json()["name"] == "forbidden"
    foreign = shop.put(35, terminal="T2")
    assert foreign.json()["status"] == "rejected", "a till posts for its own location"
    assert shop.put(36, terminal="hq1").json()["status"] == "posted"


def test_a_till_that_is_connected_is_not_fenced_by_what_it_posts_over_http(shop: Shop) -> None:
    with LineClient(shop.address) as till:
        till.call("hello", terminal="T1", token="secret")
        assert shop.put(40).json()["status"] == "posted"
        posted = till.call("post", postings=[{"id": uid(41), "body": json.loads(SALE)}])
        assert posted["result"]["results"][0]["status"] == "posted"


def test_a_revoked_terminal_posts_nothing(shop: Shop) -> None:
    change(shop.url, Enrol("T3", "till", "L3", "secret"))
    change(shop.url, RevokeTerminal("T3"))
    assert shop.put(42, terminal="T3").status_code == 401


def test_a_long_body_is_refused_before_it_is_read(shop: Shop) -> None:
    answer = shop.put(43, b" " * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["name"]) == (413, "too_large")


def test_the_longest_body_reaches_the_server(shop: Shop) -> None:
    longest = SALE[:-1] + b',"reference":"r","ext":{"x":"%s"}}'
    longest %= b"x" * (BODY_BYTES_MAX - len(longest) + 2)
    assert len(longest) == BODY_BYTES_MAX
    assert shop.put(44, longest).json()["status"] == "posted"


def test_no_posting_is_in_the_audit_trail(shop: Shop) -> None:
    assert {each.request for each in ask(shop.url, ListAudit())} <= {"enrol", "revoke"}
