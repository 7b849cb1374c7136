"""Attacks by a greedy reader."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from tests.attack.crowd import Attack, Crowd
from tests.attack.target import Client, Target, encoded, now


def _as_reader(act: Callable[[Client], None], members: int) -> Callable[[Target, float], str]:
    """An attack of which each of `members` repeats `act` on a connection of its own."""

    def run(target: Target, seconds: float) -> str:
        crowd = Crowd(seconds)

        def connected(_: int) -> None:
            client = target.client("greedy")
            try:
                while crowd.goes_on():
                    act(client)
                    crowd.count()
            finally:
                client.close()

        return crowd.run(members, connected)

    return run


def listings(client: Client) -> None:
    """All levels as of now, by time travel."""
    client.call("stock", as_of=now(), limit=10_000)


def pairs(client: Client) -> None:
    """A hundred million keys, with a cursor behind the last."""
    cursor = base64.urlsafe_b64encode(json.dumps(["zz", "zz"]).encode()).decode().rstrip("=")
    skus, locations = ([f"{kind}-{number}" for number in range(10_000)] for kind in "PL")
    client.call("stock", skus=skus, locations=locations, cursor=cursor)


def slow_readers(target: Target, seconds: float) -> str:
    """Batches of long answers, which nobody reads."""
    crowd = Crowd(seconds)
    hello = {"id": 1, "method": "hello", "params": {"terminal": "greedy", "token": target.token}}
    batch = [{"id": number, "method": "stock", "params": {"limit": 10_000}} for number in range(100)]

    def act(_: int) -> None:
        with target.connect(4_096) as sock:
            sock.sendall(encoded(hello))
            sock.recv(4_096)
            sock.sendall(encoded(batch))
            crowd.count()
            crowd.rest(seconds)

    return crowd.run(40, act)


def hang_ups(target: Target, seconds: float) -> str:
    """Long questions of clients that do not wait for the answer."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        client = target.client("greedy")
        client.send({"id": 1, "method": "stock", "params": {"as_of": now(), "limit": 10_000}})
        client.close()
        crowd.count()

    return crowd.run(8, act)


READERS = {
    "listings": Attack(_as_reader(listings, 8), "8 readers list everything, as of now"),
    "pairs": Attack(_as_reader(pairs, 4), "4 readers ask for 10,000 SKUs at 10,000 locations"),
    "slow_readers": Attack(slow_readers, "40 readers ask for 100 listings each and read nothing"),
    "hang_ups": Attack(hang_ups, "8 readers ask, and hang up"),
}
