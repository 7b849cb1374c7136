"""The thread that follows the ledger while somebody watches, and sends what is new to each watcher."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from inventory_server.config import FEED_READERS, FEED_RETRY_SECONDS, FEED_TURN_SECONDS
from inventory_server.domain.answers import FeedPage, FeedStart
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import Question, ReadFeed, StartFeed
from inventory_server.domain.roles import HEADQUARTERS, Actor
from inventory_server.feed.notifications import lagging
from inventory_server.feed.ring import Ring
from inventory_server.feed.watcher import Watcher, WatchingClient
from pos_client.protocol.errors import RequestError

log = logging.getLogger("tillwire.feed")


class Feed:
    """Follows the ledger for all watchers of a process, at most every `FEED_TURN_SECONDS`.

    `ask` asks the store. `run` has a thread that may wait call a function; False where none is free. Watchers that are
    within the latest positions are served from these; for others a page of the ledger is read at a time, a few of them
    at once, so that one who begins far back holds up nobody.
    """

    def __init__(
        self,
        ask: Callable[[Question], Outcome],
        run: Callable[[Callable[[], None]], bool],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._run = run
        self._timer = timer
        # Guards all below but `_ring`, which only the thread uses; a watcher that is catching up is its reader's.
        self._changed = threading.Condition()
        self._watchers: dict[WatchingClient, Watcher] = {}
        self._behind: deque[Watcher] = deque()
        self._reading = 0
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._ring: Ring | None = None
        self._has_failed = False

    def watch(self, client: WatchingClient, start: FeedStart, actor: Actor) -> None:
        """Send the feed to `client`, instead of what it watched before."""
        self.unwatch(client)
        with self._changed:
            self._watchers[client] = Watcher(client, start, actor, self._timer())
            if self._thread is None and not self._is_closing:
                self._thread = threading.Thread(target=self._follow, name="tillwire-feed", daemon=True)
                self._thread.start()
            self._changed.notify()

    def unwatch(self, client: WatchingClient) -> None:
        """Send no more to `client`."""
        with self._changed:
            watcher = self._watchers.pop(client, None)
        if watcher is not None:
            watcher.end()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    # ------------------------------------------------------------------------------ the thread

    def _follow(self) -> None:
        while (watchers := self._wait()) is not None:
            pause = FEED_TURN_SECONDS
            try:
                self._serve(watchers)
                self._has_failed = False
            except Exception:  # noqa: BLE001 (it is logged)
                self._note_failure()
                pause = FEED_RETRY_SECONDS
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, pause)

    def _wait(self) -> list[Watcher] | None:
        """Who watches, once somebody does; None when the feed is closed."""
        with self._changed:
            if not self._watchers:
                self._ring = None
            self._changed.wait_for(lambda: self._watchers or self._is_closing)
            return None if self._is_closing else list(self._watchers.values())

    def _serve(self, watchers: list[Watcher]) -> None:
        """Read what is new, and send each watcher what it takes."""
        ring = self._read_on()
        now = self._timer()
        for watcher in watchers:
            if watcher.is_catching_up or not watcher.client.takes_more():
                continue
            if watcher.position < ring.begin:
                watcher.is_catching_up = True
                with self._changed:
                    self._behind.append(watcher)
            elif watcher.position <= ring.end:
                watcher.tell(ring.after(watcher.position), now)
        self._start_readers()

    def _read_on(self) -> Ring:
        ring = self._ring
        if ring is None:
            ring = self._ring = Ring(self._ask(StartFeed(actor=HEADQUARTERS)).position)
        while True:
            page: FeedPage = self._ask(ReadFeed(ring.end, actor=HEADQUARTERS))
            if page.resume_from is not None:  # archived meanwhile: go on at its end
                ring = self._ring = Ring(page.resume_from)
                continue
            for each in page.changed:
                ring.append(each)
            if not page.changed:
                return ring

    # ------------------------------------------------------------------------------ catching up

    def _start_readers(self) -> None:
        while (watcher := self._next_reader()) is not None:
            is_started = False
            try:
                is_started = self._run(partial(self._read_for, watcher))
            finally:
                if not is_started:
                    self._release(watcher)
            if not is_started:
                return

    def _next_reader(self) -> Watcher | None:
        with self._changed:
            if self._reading == FEED_READERS or not self._behind:
                return None
            self._reading += 1
            return self._behind.popleft()

    def _read_for(self, watcher: Watcher) -> None:
        """Read and send the next page of a watcher that is behind."""
        try:
            if watcher.is_over:
                return
            page: FeedPage = self._ask(watcher.question())
            if page.resume_from is None:
                watcher.tell_page(page.changed, page.position, self._timer())
            else:
                self._end(watcher, lagging(page.resume_from))
        except RequestError as error:  # revoked, or its token was replaced
            log.info("event=watch_ended position=%d reason=%s", watcher.position, error)
            self._end(watcher, b"")
            watcher.client.end_watch()
        except Exception:  # noqa: BLE001 (it is logged)
            self._note_failure()
        finally:
            self._release(watcher)

    def _end(self, watcher: Watcher, last: bytes) -> None:
        with self._changed:
            if self._watchers.get(watcher.client) is watcher:
                del self._watchers[watcher.client]
        watcher.end(last)

    def _release(self, watcher: Watcher) -> None:
        with self._changed:
            self._reading -= 1
            watcher.is_catching_up = False

    def _note_failure(self) -> None:
        """Log what the database raised: once, not at every turn. Watchers wait until it answers again."""
        if not self._has_failed:
            log.exception("event=feed_failed")
        self._has_failed = True
