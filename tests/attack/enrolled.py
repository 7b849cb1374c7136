"""Attacks by a broken or stolen till, whose token is right."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.attack.crowd import Attack, Crowd
from tests.attack.target import Client, Target, posting

MOST = 10**6
"""The largest quantity of a till's line."""
EDGE = 2**63 - 1
CLAIMED = uuid.UUID(int=1)


def _lines(number: int, sku: str = "EDGE", quantity: Any = 1, distinct: bool = False) -> list[dict[str, Any]]:
    return [{"sku": f"{sku}-{n}" if distinct else sku, "quantity": quantity} for n in range(number)]


def _as_till(act: Callable[[Crowd, Client, int], None], members: int = 1) -> Callable[[Target, float], str]:
    """An attack of which each of `members` tills repeats `act` on a connection of its own."""

    def run(target: Target, seconds: float) -> str:
        crowd = Crowd(seconds)

        def connected(number: int) -> None:
            client = target.client(f"evil-{number}", lineage=str(uuid.uuid4()))
            try:
                while crowd.goes_on():
                    act(crowd, client, number)
                    crowd.count()
            finally:
                client.close()

        return crowd.run(members, connected)

    return run


def big_posts(_: Crowd, client: Client, number: int) -> None:
    """Frames of nearly 1 MiB: postings of 1,000 lines, each of a new SKU."""
    mark = uuid.uuid4().hex[:6]
    client.post(*(posting(lines=_lines(1_000, f"{mark}{number}-{nth}", distinct=True)) for nth in range(20)))


def void_bomb(_: Crowd, client: Client, __: int) -> None:
    """A small frame that takes back much."""
    sales = [posting(lines=_lines(1_000, "VB", distinct=True)) for _ in range(20)]
    client.post(*sales)
    client.post(*(posting("void", voids=sale["id"]) for sale in sales))


def count_bomb(_: Crowd, client: Client, __: int) -> None:
    """Counts of long ago, each of which looks back on its own past."""
    lines = _lines(1_000, "CB", distinct=True)
    client.post(posting(lines=lines))
    client.post(*(posting("count", at=f"1990-01-01T00:00:{nth:02}Z", lines=lines) for nth in range(20)))


def overflow(_: Crowd, client: Client, __: int, kind: str) -> None:
    """As much of one SKU as a frame can say, in one direction."""
    fields: dict[str, Any] = {"other_location": "north"} if kind == "transfer_out" else {}
    client.post(*(posting(kind, lines=_lines(1_000, f"OF-{kind}", MOST), **fields) for _ in range(20)))


def pending(_: Crowd, client: Client, __: int) -> None:
    """Reports of an outbox that cannot be."""
    for oldest in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        client.call("ping", outbox={"pending": EDGE, "dead": EDGE, "oldest_occurred_at": oldest})


def wild_clock(_: Crowd, client: Client, __: int) -> None:
    """Instants at both ends of the calendar."""
    instants = (
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
    )
    client.post(*(posting(at=at) for at in instants))
    for at in instants:
        client.call("ping", now=at, outbox={"pending": 1, "oldest_occurred_at": at})
        client.call("history", sku="ODD", **{"from": at, "to": at})


def holes(_: Crowd, client: Client, number: int) -> None:
    """Sequence numbers with a hole behind each."""
    first = time.monotonic_ns() // 1_000
    client.hello(f"evil-{number}", lineage=str(uuid.uuid4()))
    client.post(*(posting(seq=first + 2 * nth) for nth in range(200)))


def refused_bodies(_: Crowd, client: Client, __: int) -> None:
    """Bodies of 1 MB that can never be posted, and another one for an id that is taken."""
    junk = "x" * 900_000
    client.post({"id": str(uuid.uuid4()), "body": {"type": "sale", "junk": junk}})
    good = posting()
    client.post(good)
    client.post({"id": good["id"], "body": {"type": "sale", "junk": junk}})


def new_names(_: Crowd, client: Client, __: int) -> None:
    """Locations and SKUs that nobody knows."""
    client.post(
        *(
            posting("transfer_out", other_location=uuid.uuid4().hex, lines=[{"sku": uuid.uuid4().hex, "quantity": 1}])
            for _ in range(100)
        )
    )


def odd_frames(_: Crowd, client: Client, __: int) -> None:
    """What a parser may stumble over: depth, repetition, huge numbers, escapes, names of people who inject."""
    escape = "\x1b]0;pwned\x07\x1b[2J\u202e\u200b'; DROP TABLE posting;--"
    deep = b'{"id":1,"method":"ping","params":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
    for frame in (
        deep,
        b"[" + b"1," * 200_000 + b"1]\n",
        b'{"id":' + b"9" * 900_000 + b',"method":"ping"}\n',
        b'{"id":1,"method":"post","params":{' + b",".join([b'"k":1'] * 100_000) + b"}}\n",
        b'{"id":1,"method":"ping","params":{"x":"' + b"\\" * 900_000 + b'"}}\n',
        {"id": 1, "method": f"x\n2026-01-01 CRITICAL {escape}", "params": {}},
        {"id": 1, "method": "stock", "params": {"sku": escape, "location": escape, "cursor": "x" * 100_000}},
        {"id": 1, "method": "stock", "params": {"limit": EDGE}},
        {"id": 1, "method": "post", "params": {"postings": [posting(reference=escape, lines=_lines(1, escape[20:]))]}},
        {"id": 1, "method": "post", "params": {"postings": [posting(seq=EDGE)]}},
    ):
        client.send(frame)
        client.read_line()
    for quantity in (b"9" * 100_000, b"1e999999999", b"-0", b"0." + b"0" * 100_000, b"NaN", b'"\xd9\xa1"'):
        body = (
            b'{"type":"sale","occurred_at":"2026-01-01T00:00:00Z","lines":[{"sku":"A","quantity":' + quantity + b"}]}"
        )
        id_ = str(uuid.uuid4()).encode()
        client.send(b'{"id":1,"method":"post","params":{"postings":[{"id":"' + id_ + b'","body":' + body + b"}]}}\n")
        client.read_line()


def forged_places(_: Crowd, client: Client, __: int) -> None:
    """Sales of honest tills' goods, as if they were made in their shops: each that counted would be one too many."""
    for place in ("north", "south"):
        client.post(*(posting(location=place, lines=[{"sku": "SKU-0", "quantity": 1}]) for _ in range(50)))


def forged_lineages(_: Crowd, client: Client, number: int) -> None:
    """One lineage that several tills claim, chains that part, and totals of somebody else's."""
    client.hello(f"evil-{number}", lineage=str(CLAIMED))
    for parent in ("0" * 64, "f" * 64, uuid.uuid4().hex * 2):
        client.call("post", parent=parent, postings=[posting(seq=nth) for nth in (1, 2, 2, EDGE)])
    client.call("bye", lineage=str(uuid.uuid4()), last_seq=3, count=3, quantity=-3)


def unanswered(crowd: Crowd, client: Client, _: int) -> None:
    """Notifications, which earn no answer."""
    client.send(*[b'{"method":"no.such.method"}\n'] * 1_000, {"id": 1, "method": "ping"})
    client.read_line()
    crowd.count(999)


def pings(_: Crowd, client: Client, __: int) -> None:
    """Heartbeats, one after the other."""
    client.call("ping", outbox={"pending": 0})


def last_words(crowd: Crowd, client: Client, _: int) -> None:
    """Control totals that cannot be, and a hello again."""
    client.call("bye", last_seq=EDGE, count=EDGE, quantity="92233720368547.75807", pending=EDGE, dead=EDGE)
    crowd.rest(0.05)


ENROLLED = {
    "big_posts": Attack(_as_till(big_posts), "a till posts 20,000 lines of new SKUs a frame"),
    "void_bomb": Attack(_as_till(void_bomb), "a till sells 20,000 lines, and takes them back in a small frame"),
    "count_bomb": Attack(_as_till(count_bomb), "a till counts 20,000 lines long ago"),
    "overflow_level": Attack(_as_till(partial(overflow, kind="sale")), "a till drives on_hand to the edge"),
    "overflow_reserved": Attack(_as_till(partial(overflow, kind="reserve")), "a till reserves as much as can be said"),
    "overflow_transit": Attack(_as_till(partial(overflow, kind="transfer_out")), "a till sends that to another shop"),
    "pending": Attack(_as_till(pending, members=3), "3 tills report outboxes of 2^63 postings, from year 1"),
    "wild_clock": Attack(_as_till(wild_clock), "a till of the years 1 and 9999"),
    "holes": Attack(_as_till(holes), "a till leaves a hole behind each posting"),
    "refused_bodies": Attack(_as_till(refused_bodies), "a till posts 1 MB that is refused, again and again"),
    "new_names": Attack(_as_till(new_names), "a till sends goods to locations that nobody knows"),
    "odd_frames": Attack(_as_till(odd_frames), "deep, huge, repeated and escaped JSON"),
    "forged_places": Attack(_as_till(forged_places), "a till sells what is in other shops"),
    "forged_lineages": Attack(_as_till(forged_lineages, members=4), "4 tills claim one lineage and forge its chain"),
    "unanswered": Attack(_as_till(unanswered, members=4), "4 tills send notifications"),
    "pings": Attack(_as_till(pings, members=4), "4 tills ping without a pause"),
    "last_words": Attack(_as_till(last_words), "a till says goodbye with nonsense"),
}
