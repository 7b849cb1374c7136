"""The feed on the tills' port: what is posted reaches those who watch, each position once, in order."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.feed import feed as following
from inventory_server.feed import ring, watcher
from inventory_server.store import LedgerStore, open_store
from pos_client import PosClient, RequestError, Watch
from pos_client.protocol.address import Address
from pos_client.protocol.framing import jsocket_frame
from tests.support.edge import LineClient
from tests.support.ledgers import enrol, new_ledger
from tests.support.processes import argv, environment, run
from tests.support.waiting import HANG_SECONDS, wait_until


def posting(number: int, *skus: str) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": 1} for sku in skus or "a"]
    body = {"type": "sale", "occurred_at": "2026-01-01T00:00:00Z", "lines": lines}
    return {"id": f"019ceb81-a1b2-7bd9-9d9a-{number:012d}", "body": body}


class Hq:
    """Headquarters in this process, with a till that sells."""

    def __init__(self, store: LedgerStore, application: Application) -> None:
        self.store = store
        self.sold = 0
        self.application = application
        self.address = application.addresses[0]
        for terminal, role, location in (("T1", "till", "A"), ("T2", "till", "B"), ("R1", "reader", "HQ")):
            enrol(store, terminal, role, location, f"secret of {terminal}")  # type: ignore[arg-type]
        self.tills = {name: self.connected(name) for name in ("T1", "T2")}

    def connected(self, terminal: str) -> LineClient:
        client = LineClient(self.address)
        assert "result" in client.call("hello", terminal=terminal, token=f"secret of {terminal}")
        return client

    def sell(self, *skus: str, by: str = "T1", count: int = 1) -> None:
        for _ in range(count):
            self.sold += 1
            result = self.tills[by].call("post", postings=[posting(self.sold, *skus or "a")])["result"]
            assert result["position"] == self.sold

    def watcher(self, **params: Any) -> LineClient:
        client = self.connected("R1")
        assert "result" in client.call("watch", **params)
        return client


def told(client: LineClient) -> dict[str, Any]:
    notification = json.loads(client.read_line())
    assert (notification["jsonrpc"], notification["method"]) == ("2.0", "changed"), notification
    params: dict[str, Any] = notification["params"]
    return params


def positions(client: LineClient, count: int) -> list[int]:
    return [told(client)["position"] for _ in range(count)]


@contextmanager
def headquarters(folder: Path) -> Iterator[Hq]:
    store = open_store(new_ledger(folder / "hq.db"), Settings(), now_microseconds)
    application = Application(Settings(), store, [Address("127.0.0.1", 0)])
    application.start()
    hq = Hq(store, application)
    try:
        yield hq
    finally:
        for till in hq.tills.values():
            till.close()
        application.stop()


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Hq]:
    with headquarters(tmp_path) as made:
        yield made


def test_what_is_posted_is_told(hq: Hq) -> None:
    hq.sell("b")
    with closing(hq.watcher()) as client:
        hq.sell("b", "a")
        found = told(client)
    at = "2026-01-01T00:00:00Z"
    figures = {"delta": -1, "reserved": 0, "in_transit": 0, "type": "sale", "occurred_at": at, "effective_at": at}
    assert found == {
        "position": 2,
        "items": [
            {"location": "A", "sku": "a", "on_hand": -1} | figures,
            {"location": "A", "sku": "b", "on_hand": -2} | figures,
        ],
    }


def test_any_position_can_be_followed_from(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the ledger where it is far back, from memory where it is not, with nothing in between left out."""
    monkeypatch.setattr(ring, "FEED_RING_POSITIONS", 3)
    hq.sell(count=5)
    with closing(hq.watcher(**{"from": 0})) as early, closing(hq.watcher(**{"from": 4})) as late:
        assert (positions(early, 5), positions(late, 1)) == ([1, 2, 3, 4, 5], [5])
        hq.sell(count=7)
        with closing(hq.watcher(**{"from": 7})) as later:
            assert positions(early, 7) == positions(late, 7) == [*range(6, 13)]
            assert positions(later, 5) == [*range(8, 13)]


def test_only_what_is_asked_for_is_told(hq: Hq) -> None:
    with closing(hq.watcher(locations=["B"])) as place, closing(hq.watcher(skus=["b"], **{"from": 0})) as sku:
        hq.sell("a")
        hq.sell("b", by="T2")
        hq.sell("a", "b")
        assert [(each["position"], len(each["items"])) for each in (told(place), told(sku), told(sku))] == [
            (2, 1),
            (2, 1),
            (3, 1),
        ]


def test_who_waits_for_what_does_not_happen_hears_of_its_place(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "FEED_QUIET_SECONDS", 0.01)
    with closing(hq.watcher(skus=["never"])) as client:
        hq.sell(count=3)
        found = told(client)
        while found["position"] < 3:
            assert found["items"] == []
            found = told(client)
        monkeypatch.setattr(watcher, "FEED_QUIET_SECONDS", HANG_SECONDS)
        monkeypatch.setattr(watcher, "FEED_POSITIONS", 2)
        hq.sell(count=2)
        while found["position"] < 5:
            found = told(client)


def test_who_has_caught_up_with_the_ledger_hears_so_at_once(hq: Hq) -> None:
    hq.sell("a")
    hq.sell("b")
    with closing(hq.watcher()), closing(hq.watcher(skus=["a"], **{"from": 0})) as client:
        hq.sell("b")
        found = [told(client), told(client)]
        assert [(each["position"], len(each["items"])) for each in found] in ([(1, 1), (2, 0)], [(1, 1), (3, 0)])
        hq.sell("a")
        assert [each["sku"] for each in told(client)["items"]] == ["a"]


def test_a_watch_ends_or_begins_anew_at_its_answer(hq: Hq) -> None:
    with closing(hq.watcher()) as client:
        hq.sell(count=2)
        assert positions(client, 2) == [1, 2]
        assert client.call("unwatch") == {"jsonrpc": "2.0", "id": 1, "result": {}}
        hq.sell(count=2)
        assert client.call("watch", **{"from": 1})["result"] == {"position": 1}
        assert positions(client, 3) == [2, 3, 4]
        client.call("watch", **{"from": 3}, skus=["a"])
        assert positions(client, 1) == [4]


def test_a_client_that_speaks_jsocket_is_told_in_its_frames(hq: Hq) -> None:
    def frame(method: str, **params: Any) -> bytes:
        return jsocket_frame(json.dumps({"id": 1, "method": method, "params": params}).encode())

    with closing(LineClient(hq.address)) as client:
        client.send(frame("hello", terminal="R1", token="secret of R1") + frame("watch"))
        stream = client.socket.makefile("rb")

        def read() -> Any:
            magic, size = stream.read(4), int.from_bytes(stream.read(4), "big")
            assert magic == b"JSN1"
            stream.read(4)
            return json.loads(stream.read(size))

        assert read()["result"]["role"] == "reader"
        assert read()["result"] == {"position": 0}
        hq.sell(count=3)
        assert [read()["params"]["position"] for _ in range(3)] == [1, 2, 3]
        stream.close()


def test_who_does_not_read_for_a_while_is_told_all_of_it(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a buffer at HQ: more is not even read before the client has taken what there is."""
    monkeypatch.setattr(ring, "FEED_RING_BYTES", 100_000)
    monkeypatch.setattr(watcher, "FEED_SEND_BYTES", 200_000)
    skus = [f"sku-{number}" for number in range(400)]
    with closing(hq.watcher()) as client, closing(hq.watcher()) as other:
        hq.sell(*skus, count=100)
        assert positions(other, 100) == [*range(1, 101)]
        assert positions(client, 100) == [*range(1, 101)]


def test_a_till_watches_its_own_location(hq: Hq) -> None:
    till = hq.tills["T2"]
    error = till.call("watch", locations=["A"])["error"]
    assert error["data"]["name"] == "forbidden"
    assert "A till sees what concerns its own location, B, not A" in error["message"]
    assert till.call("watch")["result"] == {"position": 0}
    hq.sell(by="T1", count=2)
    till.send(b'{"method": "post", "params": {"postings": [%s]}}\n' % json.dumps(posting(3)).encode())
    found = told(till)
    assert [(found["position"], each["location"]) for each in found["items"]] == [(3, "B")]


def test_a_position_that_is_none_yet_is_refused(hq: Hq) -> None:
    """The ledger may be an older one than the watcher knows: what it would be told is not what it waits for."""
    hq.sell(count=2)
    with closing(hq.connected("R1")) as client:
        error = client.call("watch", **{"from": 3})["error"]
    assert error["message"] == "$.from: expected at most 2, the last position, got 3."


def test_the_feed_goes_on_when_the_database_answers_again(
    hq: Hq, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "FEED_RETRY_SECONDS", 0.01)
    failed = threading.Event()
    with closing(hq.watcher()) as client:
        asked = hq.application.feed._ask

        def fail(question: Any) -> Any:
            failed.set()
            raise OSError("no disk")

        hq.application.feed._ask = fail
        assert failed.wait(HANG_SECONDS)
        hq.sell()
        hq.application.feed._ask = asked
        assert positions(client, 1) == [1]
    assert len([each for each in caplog.records if "event=feed_failed" in each.message]) == 1


def test_who_ends_while_it_is_answered_is_not_watched_for(hq: Hq, monkeypatch: pytest.MonkeyPatch) -> None:
    watch_for, watched = hq.application.feed.watch, threading.Event()

    def late(client: Any, *asked: Any) -> None:
        client._is_over = True
        watch_for(client, *asked)
        watched.set()

    monkeypatch.setattr(hq.application.feed, "watch", late)
    with closing(hq.watcher()):
        assert watched.wait(HANG_SECONDS)
        wait_until(lambda: not hq.application.feed._watchers)


def test_nobody_follows_the_ledger_when_nobody_watches(hq: Hq) -> None:
    with closing(hq.watcher()) as client:
        hq.sell()
        assert positions(client, 1) == [1]
    wait_until(lambda: hq.application.feed._ring is None)


# ------------------------------------------------------------------------------------ Watch


def watch(hq: Hq, **asked: Any) -> Watch:
    return Watch(str(hq.address), terminal="R1", token="secret of R1", **asked)


def test_a_program_iterates_over_it(hq: Hq) -> None:
    hq.sell(count=2)
    with watch(hq, since=0, skus=["a"]) as feed:
        assert [next(feed).position for _ in range(2)] == [1, 2]
        assert feed.wait(0) is None
        hq.sell()
        item = next(feed)
        assert (item.position, item.items[0].sku, item.items[0].on_hand, feed.position) == (3, "a", -3, 3)
    assert list(feed) == []


def test_closing_it_ends_the_wait_of_another_thread(hq: Hq) -> None:
    feed = watch(hq)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(feed))
    thread.start()
    wait_until(lambda: feed.position is not None)
    feed.close()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive()
    assert found == []


def test_a_refusal_is_raised(hq: Hq) -> None:
    with (
        Watch(str(hq.address), terminal="R1", token="wrong") as feed,
        pytest.raises(RequestError, match="This is not the token of terminal R1"),
    ):
        next(feed)
    with watch(hq, since=9) as feed, pytest.raises(RequestError, match="expected at most 0"):
        next(feed)
    with pytest.raises(TypeError, match="locations: expected a list of texts, got the text 'A'"):
        watch(hq, locations="A")


def test_a_lost_connection_is_made_again(hq: Hq, tmp_path: Path) -> None:
    hq.sell(count=3)
    with watch(hq, since=0) as feed:
        assert next(feed).position == 1
        [info] = [each for each in hq.application.clients() if each.terminal == "R1"]
        assert info.role == "reader"
        assert feed._connection is not None
        feed._connection.interrupt()
        assert [next(feed).position for _ in range(2)] == [2, 3]
        assert feed.lost is None


# ------------------------------------------------------------------------------------ stock-query --watch


def test_a_client_follows_what_happens_at_headquarters(hq: Hq, tmp_path: Path) -> None:
    enrol(hq.store, "office", "operator", "A", "o-secret")
    tills = PosClient(str(hq.address), terminal="T1", token="secret of T1", outbox=tmp_path / "till.db", location="A")
    operators = PosClient(str(hq.address), terminal="office", token="o-secret", outbox=tmp_path / "office.db")
    with tills as till, operators as office:
        sold = [till.sell([("a", 1)]).wait(HANG_SECONDS).position for _ in range(2)]
        office.adjust([("b", 1)], location="A").wait(HANG_SECONDS)
        with office.watch(since=0) as all_of_it, till.watch(terminal="R1", token="secret of R1", since=0) as some:
            assert [next(all_of_it).position for _ in range(3)] == [*sold, 3]
            assert next(some).items[0].sku == "a"
        with pytest.raises(ValueError, match="T1 is a till: a watch under its name would cut it off"):
            till.watch()
        assert till.sell([("a", 1)]).wait(HANG_SECONDS).status == "posted"


def test_a_client_that_hq_has_not_answered_may_be_a_till(tmp_path: Path) -> None:
    with (
        PosClient(f"unix:{tmp_path}/none", terminal="T1", outbox=tmp_path / "till.db", location="A") as till,
        pytest.raises(ValueError, match="T1 has not been answered by HQ yet and may be a till"),
    ):
        till.watch()


def test_the_command_prints_a_line_for_each_posting(hq: Hq) -> None:
    asked = ("stock", "a", "--watch", "--json", "--server", str(hq.address), "--terminal", "R1")
    hq.sell()
    with subprocess.Popen(
        argv("stock-query", *asked), env=environment(TILLWIRE_TOKEN="secret of R1"), stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        wait_until(lambda: hq.application.feed._watchers)
        hq.sell("a", "b")
        changed = json.loads(command.stdout.readline())
        assert (changed["position"], [each["sku"] for each in changed["items"]]) == (2, ["a"])
        command.send_signal(signal.SIGINT)
        assert command.wait(HANG_SECONDS) == 0


def test_the_command_shows_a_live_table_in_a_terminal(hq: Hq) -> None:
    hq.sell()
    ours, theirs = pty.openpty()
    asked = ("a", "--watch", "--server", str(hq.address), "--terminal", "R1")
    seen = ""

    def shows(text: str) -> bool:
        nonlocal seen
        seen += os.read(ours, 65_536).decode()
        return text in seen

    with subprocess.Popen(
        argv("stock-query", *asked),
        env=environment(TILLWIRE_TOKEN="secret of R1", TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as command:
        wait_until(lambda: shows("position 1; Ctrl-C ends it"))
        hq.sell(count=2)
        wait_until(lambda: shows("position 3; Ctrl-C ends it"))
        command.send_signal(signal.SIGINT)
        assert command.wait(HANG_SECONDS) == 0
    os.close(ours)
    os.close(theirs)


def test_the_command_says_what_it_cannot_watch(hq: Hq) -> None:
    at = ("--server", str(hq.address), "--terminal", "R1")
    token = {"TILLWIRE_TOKEN": "secret of R1"}
    done = run("stock-query", "a", "--watch", *at, env=token)
    assert (done.returncode, "--watch shows a table in a terminal: give --json" in done.stderr) == (2, True)
    done = run("stock-query", "--watch", "--json", "--negative", *at, env=token)
    assert (done.returncode, "--watch follows SKUs and locations" in done.stderr) == (2, True)
