"""A TCP proxy between tills and HQ that cuts, delays, duplicates and trickles frames, from a seed.

It reads lines, so that it knows where a frame begins, and does its mischief to frames that post. Every piece of
mischief is counted by name when it has been done.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

MISCHIEF = (
    "cut_before_request",
    "cut_mid_frame",
    "cut_before_answer",
    "delay",
    "duplicate",
    "trickle",
    "slow_reader",
)
_TRICKLE_BYTES = 40


class Proxy:
    """Listens on `address` and passes connections on to `target`; threads do the work until `close`.

    `chances` says how likely each kind of mischief is for a posting frame; `delay_seconds` is how long the slow ones
    take at most. While shut, connections are cut and new ones refused.
    """

    def __init__(self, target: tuple[str, int], rng: random.Random, delay_seconds: float = 0.3) -> None:
        self.chances: Mapping[str, float] = {}
        self.delay_seconds = delay_seconds
        self.done: Counter[str] = Counter()
        self.frames: deque[bytes] = deque(maxlen=2_000)
        """The posting frames that have passed, for whoever wants to send them again."""
        self._target = target
        self._random = rng
        self._lock = threading.Lock()  # guards the five fields above and the set below
        self._links: set[_Link] = set()
        self._is_open = True
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()

    @property
    def address(self) -> str:
        """Where tills connect, as they are told it."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def shut(self) -> None:
        """Cut everybody off and let nobody in."""
        with self._lock:
            self._is_open = False
        self.cut_all()

    def open(self) -> None:
        """Let connections in again."""
        with self._lock:
            self._is_open = True

    def cut_all(self) -> int:
        """Cut every connection; return how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def close(self) -> None:
        """End."""
        self.shut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def choose(self, frame: bytes) -> str | None:
        """What to do to a posting frame; None: pass it on."""
        with self._lock:
            self.frames.append(frame)
            for name, chance in self.chances.items():
                if self._random.random() < chance:
                    return name
        return None

    def count(self, name: str) -> None:
        """A piece of mischief has been done."""
        with self._lock:
            self.done[name] += 1

    def leave(self, link: _Link) -> None:
        """A connection is over."""
        with self._lock:
            self._links.discard(link)

    def _accept(self) -> None:
        while True:
            try:
                till, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                is_open = self._is_open
            try:
                server = socket.create_connection(self._target, 2.0) if is_open else None
            except OSError:
                server = None
            if server is None:
                till.close()
                continue
            link = _Link(self, till, server)
            with self._lock:
                self._links.add(link)
            link.start()


class _Link:
    """One connection: a thread for either direction."""

    def __init__(self, proxy: Proxy, till: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._till = till
        self._server = server
        self._lock = threading.Lock()  # guards the counters below
        self._answers_to_swallow = 0  # how many answers to duplicated frames are still to come
        self._answer_is_fatal = False
        self._read_not_before = 0.0
        self._pumps = 2  # threads that still run; the last one closes the sockets

    def start(self) -> None:
        for sock in (self._till, self._server):
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._run, args=(pump,), daemon=True, name="proxy link").start()

    def cut(self) -> None:
        for sock in (self._till, self._server):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _run(self, pump: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # either end is gone: so is the other now
            pump()
        self.cut()
        self._proxy.leave(self)
        with self._lock:
            self._pumps -= 1
            is_last = not self._pumps
        if is_last:
            self._till.close()
            self._server.close()

    def _requests(self) -> None:
        with self._till.makefile("rb") as lines:
            for frame in lines:
                name = self._proxy.choose(frame) if b'"method":"post"' in frame[:64] else None
                if name is None:
                    self._server.sendall(frame)
                    continue
                self._proxy.count(name)
                if not getattr(self, f"_{name}")(frame):
                    return

    def _cut_before_request(self, _frame: bytes) -> bool:
        return False

    def _cut_mid_frame(self, frame: bytes) -> bool:
        self._server.sendall(frame[: len(frame) // 2])
        return False

    def _cut_before_answer(self, frame: bytes) -> bool:
        with self._lock:
            self._answer_is_fatal = True
        self._server.sendall(frame)
        return True

    def _delay(self, frame: bytes) -> bool:
        time.sleep(self._proxy.delay_seconds)
        self._server.sendall(frame)
        return True

    def _duplicate(self, frame: bytes) -> bool:
        with self._lock:
            self._answers_to_swallow += 1
        self._server.sendall(frame + frame)
        return True

    def _trickle(self, frame: bytes) -> bool:
        pieces = [frame[at : at + _TRICKLE_BYTES] for at in range(0, len(frame), _TRICKLE_BYTES)]
        for piece in pieces:
            self._server.sendall(piece)
            time.sleep(self._proxy.delay_seconds / len(pieces))
        return True

    def _slow_reader(self, frame: bytes) -> bool:
        with self._lock:
            self._read_not_before = time.monotonic() + self._proxy.delay_seconds
        self._server.sendall(frame)
        return True

    def _answers(self) -> None:
        swallow_next = False
        with self._server.makefile("rb") as lines:
            for line in lines:
                with self._lock:
                    wait = self._read_not_before - time.monotonic()
                    fatal = self._answer_is_fatal
                    if not swallow_next and self._answers_to_swallow:
                        self._answers_to_swallow -= 1
                        swallowed, swallow_next = False, True
                    else:
                        swallowed, swallow_next = swallow_next, False
                if wait > 0:
                    time.sleep(wait)
                if fatal:
                    return
                if not swallowed:
                    self._till.sendall(line)
