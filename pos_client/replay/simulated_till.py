"""A simulated till of a replay: its name, lineage and connection, and its progress through its postings."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from msgspec import UNSET, Raw

from pos_client.files.postings import FilePosting, FileTill
from pos_client.protocol.errors import ConnectionLost, ErrorCode, RequestError, TillwireError
from pos_client.protocol.limits import ENVELOPE_BYTES, ITEM_OVERHEAD_BYTES, NAME_LENGTH_MAX
from pos_client.protocol.messages import (
    ByeParams,
    HelloParams,
    HelloResult,
    Message,
    PingParams,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
)
from pos_client.replay.limits import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, NAME_MARK_DIGITS

T = TypeVar("T")
Note = Callable[[Sequence[FilePosting], Sequence[PostingResult]], None]


class ReplayError(TillwireError):
    """The replay cannot continue; run it again later to resume it."""


class Link(Protocol):
    """A connection to HQ: `request` raises RequestError or ConnectionLost, `close` never."""

    def request(self, method: str, params: Message) -> Any:
        """Send one request and wait for its typed result."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long HQ may be unreachable. `clock` is monotonic, in seconds; setting `stopping` ends all waits."""

    seconds: float
    clock: Callable[[], float]
    rng: random.Random
    stopping: threading.Event

    def insist(self, step: Callable[[], T], hang_up: Callable[[], None]) -> T:
        """Retry `step` until HQ answers, closing the connection and backing off with jitter in between.

        Raises HQ's error if a retry cannot help, ReplayError when patience runs out.
        """
        until = self.clock() + self.seconds
        pause = BACKOFF_FIRST_SECONDS
        while True:
            try:
                return step()
            except (RequestError, ConnectionLost) as error:
                hang_up()
                if isinstance(error, RequestError) and not _may_retry(error):
                    raise
                if self.clock() > until:
                    raise ReplayError(
                        f"No answer from HQ for {self.seconds:.0f} s ({error}): "
                        "check the server, then run the same command again; nothing is counted twice."
                    ) from error
                if self.stopping.wait(pause * (0.5 + self.rng.random())):
                    raise ReplayError("The replay was stopped.") from error
                pause = min(pause * 2, BACKOFF_MAX_SECONDS)


def _may_retry(error: RequestError) -> bool:
    """True if a retry can help: `fork` and `fenced` mean that another device uses this till's name."""
    return error.retryable and error.code not in (ErrorCode.fork, ErrorCode.fenced)


def terminal_name(till: FileTill) -> str:
    """The terminal name of a simulated till; a hash distinguishes names that would otherwise be the same."""
    plain = f"{till.location}-{till.lane}"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", plain)
    if name == plain and len(name) <= NAME_LENGTH_MAX and "-" not in till.lane:
        return name
    mark = hashlib.sha256(repr((till.location, till.lane)).encode()).hexdigest()[:NAME_MARK_DIGITS]
    return f"{name[: NAME_LENGTH_MAX - NAME_MARK_DIGITS - 1]}-{mark}"


def lineage_of(postings: Sequence[FilePosting]) -> UUID:
    """The lineage of these postings in this order: the same in every run, so a second run resumes the sequence."""
    return UUID(bytes=hashlib.sha256(b"".join([posting.id.bytes for posting in postings])).digest()[:16], version=5)


class SimulatedTill:
    """Sends the postings of one till; used by one thread only. `note` receives every answered frame."""

    def __init__(
        self, till: FileTill, token: str | None, connect: Callable[[], Link], patience: Patience, note: Note
    ) -> None:
        self._till = till
        self._token = token
        self._connect = connect
        self._patience = patience
        self._note = note
        self._lineage = lineage_of(till.postings)
        self._sent = 0
        self._link: Link | None = None
        self._hello: HelloResult | None = None
        self._parent = ""
        self._asked_at = 0.0
        self.is_done = False

    @property
    def next_at(self) -> int:
        """When the next posting occurred, in microseconds since 1970."""
        return self._till.postings[min(self._sent, len(self._till.postings) - 1)].occurred_at

    def send(self, until: int | None) -> None:
        """Send every posting that occurred up to `until` (None: all), and `bye` after the last."""
        postings = self._till.postings
        while self._sent < len(postings) and (until is None or self.next_at <= until):
            self._patience.insist(lambda: self._post(until), self.close)
        if self._sent == len(postings):
            self._patience.insist(self._bye, self.close)
            self.close()
            self.is_done = True

    def ping_if_idle(self, idle_seconds: float) -> None:
        """Ping if the connection has been idle for `idle_seconds`."""
        if self._link is not None and self._patience.clock() - self._asked_at >= idle_seconds:
            self._patience.insist(lambda: self._ask("ping", PingParams()), self.close)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _post(self, until: int | None) -> None:
        self._connected()
        chosen = self._frame(until)
        items = [
            PostItem(id=posting.id, body=Raw(posting.body), seq=self._sent + nth)
            for nth, posting in enumerate(chosen, start=1)
        ]
        result: PostResult = self._ask("post", PostParams(items, self._parent))
        self._parent = result.parent
        self._sent += len(chosen)
        self._note(chosen, result.results)

    def _frame(self, until: int | None) -> Sequence[FilePosting]:
        """The next postings that fit into one frame under HQ's limits, at least one."""
        assert self._hello is not None
        limits = self._hello.limits
        chosen: list[FilePosting] = []
        size = 0
        for posting in self._till.postings[self._sent : self._sent + limits.max_postings]:
            size += posting.size + ITEM_OVERHEAD_BYTES
            if chosen and (
                size > limits.max_frame_bytes - ENVELOPE_BYTES or (until is not None and posting.occurred_at > until)
            ):
                break
            chosen.append(posting)
        return chosen

    def _bye(self) -> None:
        self._ask("bye", ByeParams(lineage=self._lineage, last_seq=self._sent, pending=0))

    def _ask(self, method: str, params: Message) -> Any:
        answer = self._connected().request(method, params)
        self._asked_at = self._patience.clock()
        return answer

    def _connected(self) -> Link:
        if self._link is None:
            self._link = self._connect()
            self._hello = self._link.request(
                "hello",
                HelloParams(
                    terminal=terminal_name(self._till),
                    token=UNSET if self._token is None else self._token,
                    lineage=self._lineage,
                    location=self._till.location if self._token is None else UNSET,
                    app="pos-client replay",
                    backdated=True,
                ),
            )
            self._parent = self._hello.parent
            longest = max(posting.lines for posting in self._till.postings)
            if longest > self._hello.limits.max_lines:
                raise ReplayError(
                    f"HQ accepts {self._hello.limits.max_lines} lines in a posting, and this replay has postings of "
                    f"{longest}: raise max_lines at HQ to {longest}. Nothing was posted by this till."
                )
        return self._link
