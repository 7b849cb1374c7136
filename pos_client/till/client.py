"""`PosClient`: the API of a till program. Postings are stored at once and delivered exactly once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack
from uuid import UUID

from msgspec import UNSET, UnsetType, structs

from pos_client.protocol.address import Address
from pos_client.protocol.errors import BodyError, HqRefused, OutboxError
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import Body, ByeResult, Message, PostingResult
from pos_client.protocol.printable import printable
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import SECOND_MICROS, instant, micros
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till.arguments import check_callable, check_identity, checked, encoded_ext, given, named
from pos_client.till.basket import Basket, Stamp
from pos_client.till.basket_lines import LineLike, as_lines
from pos_client.till.clock import TickClock, local_time, machine_tick_clock, monotonic, wall_clock
from pos_client.till.enrolled_files import EnrolledFiles
from pos_client.till.list_methods import ListMethods
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import NewPosting
from pos_client.till.policy import (
    BYE_SECONDS_MIN,
    LINGER_SECONDS,
    SETTLE_POLL_SECONDS,
    Identity,
    RetryPolicy,
)
from pos_client.till.posting import PendingRegistry, Posting
from pos_client.till.posting_details import Details, check_names, check_timeout
from pos_client.till.posting_methods import METHOD_NAMES, PostingMethods
from pos_client.till.query_methods import QueryMethods
from pos_client.till.sender import Sender
from pos_client.till.sender_thread import SenderThread
from pos_client.till.status import Status
from pos_client.transport.connection import Connection
from pos_client.transport.limits import CONNECT_SECONDS, REPLY_SECONDS
from pos_client.transport.tls_stream import Tls
from pos_client.transport.watch import Watch


class PosClient(PostingMethods, QueryMethods, ListMethods):
    """A till. A posting is durable in `outbox` when the call returns, and is delivered to HQ exactly once.

    `address` is `host`, `host:port`, `[::1]:port` or `unix:/path.sock`. No posting waits for HQ: a thread delivers in
    the background, now or in three weeks. A client is thread-safe; several processes may sell through one outbox, one
    of them delivers. `on_result` is called for every posting that this process delivers. `location` is where the till
    is: every posting names it. It is needed until HQ has answered the outbox's first `hello`; from then on HQ's word
    counts. What another terminal left in `outbox` is kept, and delivered once HQ allows it (`status`). `tls` encrypts:
    True trusts the system's certificate authorities, a path the authority in that PEM file alone. A till that has
    enrolled with a code needs neither `token` nor `tls`: both are beside its outbox.

    Posting raises OutboxError if the posting could not be stored (the message says what to do), BodyError if it can
    never be posted, TypeError for a float. Queries raise ConnectionLost while HQ is unreachable, RequestError if HQ
    refuses; HqRefused if it refuses this till, whose postings then wait in the outbox.
    """

    def __init__(
        self,
        address: str,
        *,
        terminal: str,
        outbox: str | Path = "till.db",
        token: str | None = None,
        location: str | None = None,
        on_result: Callable[[PostingResult], None] | None = None,
        clock: Callable[[], int] = wall_clock,
        tick_clock: TickClock | None = None,
        rng: random.Random | None = None,
        retry_policy: RetryPolicy | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
        tls: Tls | None = None,
    ) -> None:
        self._address = where = Address.parse(address)
        enrolled = EnrolledFiles(outbox)
        token = token or enrolled.read_token()
        check_identity(terminal, token, location)
        check_callable("on_result", on_result)
        rng = rng or random.SystemRandom()
        self.terminal = terminal
        self._token = token
        self._tls: Tls = (enrolled.find_authority() or False) if tls is None else tls
        self._location = location
        self._closed = False
        self._clock = clock
        self._tick_clock = tick_clock or machine_tick_clock()
        self._new_id = Uuid7(clock, rng)
        self._postings = PendingRegistry(on_result)
        self.outbox = Outbox(outbox, terminal=terminal, clock=clock, ids=self._new_id)
        self._sender = Sender(
            self.outbox,
            Identity(terminal, token, location, "tillwire pos_client"),
            clock=clock,
            tick_clock=self._tick_clock,
            timer=monotonic,
            rng=rng,
            retry_policy=retry_policy,
            on_result=self._postings.resolve,
        )
        self._sender_thread = SenderThread(
            self._sender,
            where,
            on_standby=lambda: self._postings.refresh(self.outbox.find),
            on_refusal=self._postings.note_refusal,
            connect_seconds=connect_seconds,
            reply_seconds=reply_seconds,
            tls=self._tls,
        )
        self._sender_thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(LINGER_SECONDS if kind is None else 0)

    def close(self, linger_seconds: float = 0) -> None:
        """Stop delivering and close the outbox; pending postings are delivered next time.

        While HQ answers, this waits up to `linger_seconds` for the last postings. Closing twice is allowed.
        """
        if self._closed:
            return
        self._closed = True
        with suppress(HqRefused):  # the postings stay pending, as they do while HQ is away
            self._settle(time.monotonic() + linger_seconds, lambda: self._sender_thread.is_hopeful)
        self._sender_thread.stop()
        self.outbox.close()

    # ------------------------------------------------------------------ following

    def watch(
        self,
        *,
        terminal: str | None = None,
        token: str | None = None,
        since: int | None = None,
        locations: Sequence[str] | None = None,
        skus: Sequence[str] | None = None,
    ) -> Watch:
        """Follow what every posting does to stock at HQ, on a connection of its own: a `Watch`, to be closed.

        A till names another `terminal`, with the role reader: a second connection under its own name would fence the
        first. Readers and operators need none. ValueError where one is needed.
        """
        if terminal is None:
            hello = self._sender.hello
            if hello is None or hello.role == "till":
                is_till = "is a till" if hello else "has not been answered by HQ yet and may be a till"
                raise ValueError(
                    f"{self.terminal} {is_till}: a watch under its name would cut it off; name a terminal with the role"
                    " reader, such as watch(terminal='screen', token=…)"
                )
            terminal, token = self.terminal, self._token
        return Watch(
            str(self._address), terminal=terminal, token=token, since=since, locations=locations, skus=skus,
            tls=self._tls,
        )  # fmt: skip

    # ------------------------------------------------------------------ posting

    def open_basket(self) -> Basket:
        """Open a basket; it gets its id now, so that selling it twice by mistake counts once."""
        return Basket(self._new_id(), self._sell_basket, self._stamp)

    def _sell_basket(
        self, lines: Iterable[LineLike], stamp: Stamp, *, reservation: UUID | Posting | None, **details: Unpack[Details]
    ) -> Posting:
        return self._post("sale", lines, details, stamp, reservation=named(reservation))

    def _stamp(self) -> Stamp:
        return Stamp(local_time(self._clock()), self._tick_clock())

    def _post(
        self,
        kind: PostingType,
        lines: Iterable[LineLike] | None,
        details: Details,
        stamp: Stamp | None = None,
        **fields: Any,
    ) -> Posting:
        check_names(METHOD_NAMES.get(kind, kind), details, Details.__annotations__)
        ext, dated = details.get("ext"), details.get("occurred_at")
        stamp = stamp or self._stamp() if dated is None else Stamp(dated)
        body = Body(
            type=kind,
            occurred_at=stamp.occurred_at,
            lines=UNSET if lines is None else as_lines(lines),
            location=given(details.get("location")),
            reference=given(details.get("reference")),
            ext=UNSET if ext is None else encoded_ext(ext),
            **fields,
        )
        return self._store(body, details.get("id"), details.get("on_result"), stamp.tick)

    def post(
        self,
        body: Body,
        *,
        id: UUID | None = None,  # noqa: A002 (the protocol's own name)
        on_result: Callable[[PostingResult], None] | None = None,
    ) -> Posting:
        """Store a posting of any type, validated as HQ will validate it. Its instant is the caller's."""
        if not isinstance(body.lines, UnsetType):
            body = structs.replace(body, lines=as_lines(body.lines))
        return self._store(body, id, on_result, None)

    def _store(
        self, body: Body, given_id: UUID | None, on_result: Callable[[PostingResult], None] | None, tick: Tick | None
    ) -> Posting:
        if given_id is not None and not isinstance(given_id, UUID):
            raise BodyError("$.id", "a uuid.UUID", f"{type(given_id).__name__} {printable(repr(given_id))}")
        check_callable("on_result", on_result)
        if isinstance(body.location, UnsetType):
            body = structs.replace(body, location=self._here())
        if body.other_location == body.location:
            raise BodyError("$.other_location", "another location than that of the posting", repr(body.location))
        raw, effect = checked(body, self._sender.limits)
        reference = body.reference if isinstance(body.reference, str) else None
        with self._postings.expecting(given_id or self._new_id(), reference, on_result) as posting:
            self.outbox.add(NewPosting(posting.id, raw, micros(body.occurred_at), effect, reference, tick))
        if given_id is not None and (found := self.outbox.find(given_id)) is not None and found.result is not None:
            self._postings.resolve(found.result)  # it was sold and delivered before
        self._sender_thread.wake()
        return posting

    def _here(self) -> str:
        """Where the till is; OutboxError if nobody has said so yet."""
        here = self.outbox.location or self._location
        if here is None:
            raise OutboxError(
                f"The outbox {self.outbox.path} does not know the till's location yet: give `location`, or connect to "
                "HQ once. Nothing was stored."
            )
        return here

    # ------------------------------------------------------------------ queries

    def wait(self, timeout: float = REPLY_SECONDS) -> None:
        """Wait until HQ has answered all postings that this till may deliver.

        TimeoutError after `timeout` seconds, HqRefused at once if HQ refuses the till; what is pending stays pending.
        """
        check_timeout(timeout)
        if left := self._settle(time.monotonic() + timeout):
            reason = self._sender.last_error or "HQ has not answered yet"
            raise TimeoutError(f"{left:,} pending after {timeout} s, and kept: {reason}")

    def _settle(self, deadline: float, is_hopeful: Callable[[], bool] = lambda: True) -> int:
        """Wait until nothing is left to deliver, or the deadline; return what is left. HqRefused as `wait`."""
        while (count := self.outbox.deliverable) and is_hopeful() and (left := deadline - time.monotonic()) > 0:
            self._postings.pause(min(SETTLE_POLL_SECONDS, left))
        return count

    @property
    def pending(self) -> int:
        """The number of postings that HQ has not answered yet."""
        return self.outbox.pending

    def status(self) -> Status:
        """A snapshot of the till's state."""
        counts, sender = self.outbox.counts(), self._sender
        hello, ahead = sender.hello, sender.hq_ahead_micros
        refusal = self._sender_thread.refusal
        return Status(
            terminal=self.terminal,
            lineage=self.outbox.lineage,
            sending=self._sender_thread.is_sending,
            connected=hello is not None,
            location=self.outbox.location or self._location,
            epoch=hello.epoch if hello else None,
            pending=counts.pending,
            parked=counts.parked,
            held=tuple(self.outbox.held()),
            oldest_pending_at=None if counts.oldest_pending_at is None else instant(counts.oldest_pending_at),
            hq_ahead_seconds=None if ahead is None else ahead / SECOND_MICROS,
            refused=refusal is not None,
            last_error=sender.last_error or (str(refusal) if refusal else None),
        )

    def bye(self, *, timeout: float = REPLY_SECONDS) -> ByeResult:
        """Close the day: deliver what is pending (within `timeout` seconds), then compare control totals with HQ.

        Selling may continue afterwards: the next posting connects again.
        """
        check_timeout(timeout)
        deadline = time.monotonic() + timeout
        self._settle(deadline)

        def say_bye(connection: Connection, seconds: float) -> ByeResult:
            connection.request("ping", self._sender.ping_params(), seconds)  # a bye tells HQ no time
            result: ByeResult = connection.request("bye", self._sender.bye_params(), seconds)
            self._sender.on_bye()
            return result

        return self._sender_thread.ask(say_bye, max(BYE_SECONDS_MIN, deadline - time.monotonic()))  # type: ignore[no-any-return]

    def _ask(self, method: str, params: Message, timeout: float) -> Any:
        check_timeout(timeout)
        return self._sender_thread.ask(lambda connection, seconds: connection.request(method, params, seconds), timeout)
