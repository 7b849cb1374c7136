"""What is admitted: not too many requests at once, nor too often, nor while answers pile up."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inventory_server.web.connections import abort_connection, unsent_bytes
from inventory_server.web.limits import (
    CALLERS_REMEMBERED_MAX,
    PEER_REQUESTS_BURST_MAX,
    PEER_REQUESTS_PER_SECOND,
    REQUESTS_BURST_MAX,
    REQUESTS_PER_SECOND,
    REQUESTS_WAITING_MAX,
    STALL_SECONDS,
    UNSENT_BYTES_MAX,
)
from inventory_server.web.people import COOKIE, peer_of
from inventory_server.web.problems import problem
from inventory_server.web.refusals import busy
from pos_client.protocol.errors import ErrorCode, RequestError


class Rates:
    """How often each caller asks: `per_second` on average, `burst` at once. Used on the loop; `timer` in seconds."""

    def __init__(self, per_second: float, burst: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._timer = timer
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def assert_left(self, caller: bytes) -> None:
        """Count a request; RequestError `busy` where the caller has asked too often."""
        now = self._timer()
        left, at = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        self._left[caller] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > CALLERS_REMEMBERED_MAX:
            self._left.popitem(last=False)
        if left < 1:
            wait_ms = int((1 - left) / self._per_second * 1_000) + 1
            message = f"Too many requests; {self._per_second:.0f} a second are answered."
            raise RequestError(ErrorCode.busy, message, retry_after_ms=wait_ms, status=429)


class Admission:
    """ASGI middleware that admits what there is room for; feeds count only until they begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._callers = Rates(REQUESTS_PER_SECOND, REQUESTS_BURST_MAX)
        self._peers = Rates(PEER_REQUESTS_PER_SECOND, PEER_REQUESTS_BURST_MAX)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._assert_room(Request(scope))
        except RequestError as error:
            await problem(error)(scope, receive, _in_time(send))
            return
        place = _Place(self, _in_time(send))
        try:
            await self._app(scope, receive, place.send)
        finally:
            place.leave()

    def _assert_room(self, request: Request) -> None:
        peer = peer_of(request).encode()
        self._peers.assert_left(peer)
        self._callers.assert_left(_caller(request) or peer)
        if self._under_way >= REQUESTS_WAITING_MAX:
            raise busy(f"{REQUESTS_WAITING_MAX} requests are being answered; try again later.")
        if unsent_bytes() >= UNSENT_BYTES_MAX:
            raise busy("Too many answers wait for their readers; try again later.")

    def enter(self) -> None:
        """One more request is under way."""
        self._under_way += 1

    def leave(self) -> None:
        """One request less is."""
        self._under_way -= 1


class _Place:
    """The place of one request among those under way."""

    def __init__(self, admission: Admission, send: Send) -> None:
        self._admission = admission
        self._send = send
        self._is_taken = True
        admission.enter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (b"content-type", b"text/event-stream") in message["headers"]:
            self.leave()
        await self._send(message)

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._admission.leave()


def _in_time(send: Send) -> Send:
    """`send`, which hangs up on a reader that takes nothing for `STALL_SECONDS`."""

    async def send_in_time(message: Message) -> None:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await send(message)
        except TimeoutError:
            abort_connection()
            await asyncio.sleep(0)  # Uvicorn hears of it before anything else is sent

    return send_in_time


def _caller(request: Request) -> bytes:
    """What a request is recognised by, hashed; empty if by nothing."""
    told = request.headers.get("authorization") or request.cookies.get(COOKIE)
    return hashlib.sha256(told.encode()).digest() if told else b""
