"""Who watches may be killed at any moment: what it stored with its place holds every position once."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pos_client.protocol.address import Address
from tests.support.edge import LineClient
from tests.support.processes import Server, environment
from tests.support.sites import PostgresSite
from tests.support.waiting import wait_until

KILLS, SALES, A_FRAME = 100, 10_000, 20
SKUS = ("a", "b", "c")
PROGRAM = """
import json, sqlite3, sys
from pos_client import Watch

path, address, skus = sys.argv[1:]
mine = sqlite3.connect(path)
[(position,)] = mine.execute("SELECT position FROM place")
with Watch(address, terminal="stock-query", since=position, skus=json.loads(skus)) as feed:
    for item in feed:
        with mine:
            rows = [(item.position, change.sku, int(change.on_hand)) for change in item.items]
            mine.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)
            mine.execute("UPDATE place SET position = ?", (item.position,))
"""


class Watcher:
    """A program that stores what it sees in a database of its own, with its place."""

    def __init__(self, folder: Path, server: Server, name: str, skus: tuple[str, ...] | None) -> None:
        self.path = folder / f"{name}.db"
        self._command = [sys.executable, "-c", PROGRAM, str(self.path), server.address, json.dumps(skus)]
        with sqlite3.connect(self.path) as mine:
            mine.execute("PRAGMA journal_mode = WAL")
            mine.execute("CREATE TABLE seen (position INTEGER, sku TEXT, on_hand INTEGER, PRIMARY KEY (position, sku))")
            mine.execute("CREATE TABLE place (position INTEGER)")
            mine.execute("INSERT INTO place VALUES (0)")
        mine.close()
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=environment())

    def end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait()

    def has_ended(self) -> bool:
        """True where it ended by itself: a position came twice, or the feed failed."""
        return self._process.poll() is not None

    def is_done(self, last: int) -> bool:
        """True where it has come to the position `last`, or will not."""
        [(position,)] = self.read("SELECT position FROM place")
        return position >= last or self.has_ended()

    def read(self, query: str) -> list[tuple[Any, ...]]:
        mine = sqlite3.connect(self.path)
        try:
            return mine.execute(query).fetchall()
        finally:
            mine.close()


def sell(till: LineClient, first: int) -> None:
    postings = [
        {
            "id": f"019ceb81-a1b2-7bd9-9d9a-{number:012d}",
            "body": {
                "type": "sale",
                "occurred_at": "2026-01-01T00:00:00Z",
                "lines": [{"sku": SKUS[number % len(SKUS)], "quantity": 1}],
            },
        }
        for number in range(first, first + A_FRAME)
    ]
    results = till.call("post", postings=postings)["result"]["results"]
    assert {each["status"] for each in results} == {"posted"}


def watch_through_kills(server: Server, folder: Path) -> None:
    expected = [
        (position, SKUS[(position - 1) % len(SKUS)], -((position - 1) // len(SKUS) + 1))
        for position in range(1, SALES + 1)
    ]
    only_b = [row for row in expected if row[1] == "b"]
    server.start()
    chance = random.Random(7)
    watchers = [Watcher(folder, server, "all", None), Watcher(folder, server, "some", ("b",))]
    try:
        with LineClient(Address.parse(server.address)) as till:
            till.call("hello", terminal="till", location="L")
            for number in range(SALES // A_FRAME):
                sell(till, number * A_FRAME)
                if number % (SALES // A_FRAME // KILLS) == 0:
                    victim = chance.choice(watchers)
                    time.sleep(chance.uniform(0, 0.3))
                    assert not victim.has_ended()
                    victim.end(chance.choice((signal.SIGKILL, signal.SIGTERM)))
                    victim.start()
        for watcher, last in zip(watchers, (expected[-1], only_b[-1]), strict=True):
            wait_until(partial(watcher.is_done, last[0]))
        whole, some = (each.read("SELECT position, sku, on_hand FROM seen ORDER BY position") for each in watchers)
    finally:
        for each in watchers:
            each.end(signal.SIGKILL)
        server.stop()
    assert whole == expected
    assert some == only_b


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_watcher_that_is_killed_a_hundred_times_has_seen_every_position_once(tmp_path: Path) -> None:
    watch_through_kills(Server(tmp_path), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_same_on_postgresql_with_several_servers(postgres_site: PostgresSite, tmp_path: Path) -> None:
    config = tmp_path / "hq.toml"
    config.write_text("accept_weak_durability = true\n")
    options = ("--config", str(config), "--workers", "2")
    watch_through_kills(Server(tmp_path, *options, db=postgres_site.new()), tmp_path)
