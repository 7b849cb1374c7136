"""Attacks by those who have not said hello."""

from __future__ import annotations

import json
import socket
import time
import uuid
from functools import partial

from tests.attack.crowd import Attack, Crowd
from tests.attack.target import Target

SALES = b",".join([b'{"id":"019ceb81-a1b2-7bd9-9d9a-d47c2ebdbb37","body":{"type":"sale"}}'] * 13_500)
BIG_FRAME = b'{"id":1,"method":"post","params":{"postings":[' + SALES + b"]}}\n"
HALF_FRAME = b'{"id":1,"method":"ping","params":{"x":"' + b"a" * 1_040_000
DISCOVERIES = b"[" + b",".join(b'{"id":%d,"method":"rpc.discover"}' % number for number in range(100)) + b"]\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01"
"""The beginning of a TLS handshake that says that more follows."""


def _flood(target: Target, seconds: float, line: bytes, members: int = 8, reads: bool = False) -> str:
    """One connection after the other takes as much of `line` as it can."""
    crowd = Crowd(seconds)
    data = line * (65_536 // len(line))

    def act(_: int) -> None:
        with target.connect() as sock:
            sock.settimeout(1)
            while crowd.goes_on():
                crowd.count(sock.send(data) // len(line))
                if reads:
                    sock.recv(1 << 20)

    return crowd.run(members, act)


def newline_bursts(target: Target, seconds: float) -> str:
    """As many line ends as go into a socket, and away."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        with target.connect() as sock:
            sock.setblocking(False)
            try:
                while crowd.goes_on():
                    crowd.count(sock.send(b"\n" * (1 << 20)))
            except OSError:
                crowd.count(0)

    return crowd.run(8, act)


def _hold(target: Target, seconds: float, number: int, first: bytes, then: bytes, plain: bool = False) -> str:
    """`number` connections at a time send `first`, and `then` each second, for as long as they are let."""
    crowd = Crowd(seconds)
    held: list[socket.socket] = []
    while crowd.goes_on():
        began = time.monotonic()
        for _ in range(min(50, number - len(held))):
            try:
                held.append(target.plain_socket() if plain else target.connect())
                held[-1].settimeout(0.2)
                held[-1].sendall(first)
                crowd.count()
            except OSError:
                crowd.lost += 1
        for sock in list(held):
            try:
                sock.sendall(then)
            except OSError:
                held.remove(sock)
                sock.close()
                crowd.lost += 1
        crowd.rest(max(0.0, 0.2 - (time.monotonic() - began)) if len(held) < number else 1.0)
    for sock in held:
        sock.close()
    return f"{crowd.done:,} opened, {crowd.lost:,} cut off or refused, {len(held):,} held at the end"


def big_frames(target: Target, seconds: float) -> str:
    """Frames of 1 MiB, over and over."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        with target.connect() as sock:
            sock.sendall(BIG_FRAME)
            sock.recv(65_536)
            crowd.count()

    return crowd.run(8, act)


def discoveries(target: Target, seconds: float, reads: bool) -> str:
    """The longest answer there is without a hello, in batches and one by one."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        with target.connect(4_096) as sock:
            sock.sendall(DISCOVERIES + b'{"id":1,"method":"rpc.discover"}\n' * 100)
            while reads and crowd.goes_on() and sock.recv(1 << 16):
                crowd.count()
            crowd.rest(seconds)

    return crowd.run(20, act)


def connect_storm(target: Target, seconds: float) -> str:
    """Connections that are reset at once."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        target.reset(target.plain_socket())
        crowd.count()

    return crowd.run(8, act)


def handshake_storm(target: Target, seconds: float) -> str:
    """Whole handshakes, and away."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        target.connect().close()
        crowd.count()

    return crowd.run(8, act)


def guesses(target: Target, seconds: float, has_lineage: bool) -> str:
    """Wrong tokens of one terminal."""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        client = target.client()
        while crowd.goes_on():
            lineage = {"lineage": str(uuid.uuid4())} if has_lineage else {}
            client.call("hello", terminal="operator", token=f"guess-{uuid.uuid4()}", **lineage)
            crowd.count()

    return crowd.run(20, act)


def invented_names(target: Target, seconds: float) -> str:
    """Terminals that nobody knows: does a table of names grow?"""
    crowd = Crowd(seconds)

    def act(_: int) -> None:
        with target.connect() as sock:
            line = {"id": 1, "method": "hello", "params": {"terminal": uuid.uuid4().hex, "token": "x"}}
            sock.sendall(json.dumps(line).encode() + b"\n")
            crowd.count()

    return crowd.run(20, act)


STRANGERS = {
    "newlines": Attack(partial(_flood, line=b"\n"), "8 connections send line ends"),
    "newline_bursts": Attack(newline_bursts, "8 connections at a time fill their sockets with line ends, and leave"),
    "newlines_now_and_then": Attack(partial(_hold, number=300, first=b"\n", then=b"\n"), "300, a line end a second"),
    "junk": Attack(partial(_flood, line=b"junk\n"), "8 connections send lines that are no JSON, and read nothing"),
    "junk_read": Attack(partial(_flood, line=b"junk\n", reads=True), "the same, and read what they are told"),
    "notifications": Attack(partial(_flood, line=b'{"method":"ping"}\n'), "8 connections send notifications"),
    "idle": Attack(partial(_hold, number=600, first=b"", then=b""), "600 silent connections"),
    "drip": Attack(partial(_hold, number=300, first=b"{", then=b"{"), "300 connections, a byte a second each"),
    "half_frames": Attack(partial(_hold, number=300, first=HALF_FRAME, then=b"a"), "300 lines of 1 MB without an end"),
    "half_handshakes": Attack(
        partial(_hold, number=600, first=CLIENT_HELLO, then=b"", plain=True), "600 TLS handshakes that stop halfway"
    ),
    "big_frames": Attack(big_frames, "8 connections at a time send 1 MiB"),
    "discoveries": Attack(partial(discoveries, reads=True), "20 connections ask for the description, in batches"),
    "discoveries_unread": Attack(partial(discoveries, reads=False), "the same, and read nothing"),
    "connect_storm": Attack(connect_storm, "connects and resets"),
    "handshake_storm": Attack(handshake_storm, "connects, with TLS whole handshakes, and closes"),
    "guesses": Attack(partial(guesses, has_lineage=False), "20 connections guess a token"),
    "guesses_with_lineages": Attack(partial(guesses, has_lineage=True), "the same, each with another lineage"),
    "invented_names": Attack(invented_names, "20 connections at a time say hello under names that nobody knows"),
}
