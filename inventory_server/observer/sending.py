"""One attempt to deliver an event: an HTTP POST, or a command that reads it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.metadata import version

from inventory_server.domain.limits import DELIVERY_ERROR_LENGTH_MAX
from inventory_server.observer.events import CONTENT_TYPE, CloudEvent, body_of_event, signed
from inventory_server.observer.limits import DELIVERY_SECONDS, RESPONSE_BYTES_MAX
from inventory_server.observer.targets import AlertTarget, CommandTarget, WebhookTarget
from pos_client.protocol.printable import escaped

_GONE = 410


@dataclass(frozen=True, slots=True)
class DeliveryRefusal:
    """Why an attempt failed; `is_final` where the receiver says that it wants nothing more."""

    error: str
    is_final: bool = False


def send(target: AlertTarget, event: CloudEvent, now: int, seconds: float = DELIVERY_SECONDS) -> DeliveryRefusal | None:
    """Deliver an event; None once the target has taken it. `now` (microseconds) is what the signature says."""
    body = body_of_event(event)
    if isinstance(target, CommandTarget):
        return _run(target, body, seconds)
    try:
        return _post(target, body, signed(event, body, target.secret, now), seconds)
    except (OSError, HTTPException, ValueError) as error:
        return DeliveryRefusal(_short(f"{type(error).__name__}: {error}"))


def _post(target: WebhookTarget, body: bytes, signature: Mapping[str, str], seconds: float) -> DeliveryRefusal | None:
    """Post a body. Redirects are not followed: they would take a signed event elsewhere."""
    url = target.url
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=seconds)
    is_late = threading.Event()

    def hang_up() -> None:
        """The time-out of a socket begins anew with each byte; this ends the whole attempt."""
        is_late.set()
        with suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    headers = {"content-type": CONTENT_TYPE, "user-agent": f"tillwire/{version('tillwire')}", **signature}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read(RESPONSE_BYTES_MAX)
    except (OSError, HTTPException, ValueError) as error:
        if is_late.is_set():
            return DeliveryRefusal(f"no answer within {seconds:g} s")
        raise error
    finally:
        timer.cancel()
        connection.close()
    if 200 <= response.status < 300:
        return None
    what = "; redirects are not followed" if 300 <= response.status < 400 else ""
    return DeliveryRefusal(_short(f"HTTP {response.status} {response.reason}{what}"), response.status == _GONE)


def _run(target: CommandTarget, body: bytes, seconds: float) -> DeliveryRefusal | None:
    """Run a command in a session of its own, which is ended as a whole at the deadline."""
    try:
        process = subprocess.Popen(  # noqa: S603 (what the operator wrote into a file that nobody else may change)
            target.arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return DeliveryRefusal(_short(f"{target.arguments[0]} cannot be run: {error}"))
    try:
        process.communicate(body + b"\n", timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return DeliveryRefusal(f"{target.arguments[0]} did not end within {seconds:g} s")
    if process.returncode:
        return DeliveryRefusal(_short(f"{target.arguments[0]} ended with exit code {process.returncode}"))
    return None


def _short(text: str) -> str:
    return escaped(text)[:DELIVERY_ERROR_LENGTH_MAX]
