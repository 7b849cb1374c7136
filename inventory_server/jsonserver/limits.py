"""Every limit and timeout of the JSON server, once: its unit, its default, its bounds and the reason."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypedDict

from pos_client.protocol.framing import MAX_FRAME_BYTES

READ_BYTES = 1 << 16
"""Bytes read from a connection before it is another one's turn; all connections share a buffer of this size."""
WRITE_BYTES = 1 << 18
"""Bytes sent to a slow reader before it is another connection's turn."""
FRAMES_AT_ONCE = 16
"""Frames of a connection that are answered before it is another one's turn."""
EVENTS_AT_ONCE = 256
"""Sockets that the loop looks after before it looks at deadlines."""
ACCEPTS_AT_ONCE = 64
"""Connections accepted before those that stand have their turn."""
WAIT_SECONDS_MAX = 3_600.0
"""Longest wait of the loop for its next deadline: epoll takes milliseconds as a C int, 24 days at most."""
TURN_SECONDS_MAX = 0.005
"""Longest wait for a turn at the interpreter: as long as Python itself leaves it to a thread that others wait for."""
STALE_DEADLINES_MIN = 1_000
"""Deadlines of closed connections that may wait to be dropped."""
KEEPALIVE_PROBES = 4
"""Unanswered probes that end a connection: one or two may be lost on a bad line."""
CLOSE_SECONDS = 1.0
"""How long `stop` of a server waits for the threads of connections that it has closed by force."""
STOP_SECONDS = 10.0
"""How long `stop` of a server waits for replies in progress unless told otherwise."""
SERVICE_SECONDS = 0.5
"""Time between two calls of a server's `service_actions`: as often as in the standard library's `socketserver`."""
INCIDENT_BYTES = 6
"""Random bytes in the id of a handler's failure: enough to find it in the log."""
OTHERS_FIRST_SECONDS = 0.05
"""How long a full process leaves a new connection to the processes that share its socket before it refuses it."""
EXHAUSTED_PAUSE_SECONDS = 0.5
"""How long accepting pauses when file descriptors or memory have run out: retrying at once would spin."""
LINGER_BYTES = 1 << 18
"""Bytes that are dropped from a client that still sends while the server waits for it to read its last reply."""
COUNTED_FRAME_BYTES = 1 << 13
"""A frame that has arrived in part counts against `arriving_bytes_max` from this size on."""
EVICTIONS_LOGGED_SECONDS = 60.0
"""Time between two log lines about newcomers that had to make room; each has a count."""
UNANSWERED_FRAMES = 16
"""Frames in a row that earn no reply before their connection rests: no reply to read holds their sender back."""
UNANSWERED_REST_SECONDS = 0.002
"""That rest: 8,000 such frames a second, which leaves most of the loop to the others."""
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
"""Networks of this machine alone."""


def networks(default: tuple[str, ...], reason: str) -> tuple[str, ...]:
    """A configurable list of networks, such as `10.0.0.0/8`."""
    value: tuple[str, ...] = field(default=default, metadata={"reason": reason})
    return value


def limit(default: int, least: int, reason: str, most: int = 10**9) -> int:
    """A configurable limit with its bounds: below `least` a server is of no use, above `most` no kernel has it."""
    value: int = field(default=default, metadata={"least": least, "most": most, "reason": reason})
    return value


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """What a JSON server lets its clients do."""

    max_frame_bytes: int = limit(
        MAX_FRAME_BYTES,
        1 << 16,
        "longest frame (a line, or the payload of `JSN1`); bounds the memory of a connection",
        most=1 << 26,
    )
    max_connections: int = limit(
        1_024, 1, "connections served at a time; lowered at start if the limit of open files allows fewer"
    )
    surplus_connections: int = limit(8, 0, "how many over-limit connections are refused at once")
    newcomers_max: int = limit(
        256,
        1,
        "clients connected that have not identified themselves; the oldest idle one is closed for a new one",
    )
    newcomers_per_address_max: int = limit(
        32, 1, "the same from one address (IPv6: from one /64), outside `trusted_networks`"
    )
    newcomer_seconds: float = limit(5, 1, "how long a client may take to identify itself")
    newcomer_bytes: int = limit(
        8_192,
        1_024,
        "bytes read ahead of a client that has not identified itself; its frames are shorter",
        most=1 << 16,
    )
    trusted_networks: tuple[str, ...] = networks(
        LOOPBACK_NETWORKS, "networks whose clients may share an address: a VPN gives thousands of tills one"
    )
    handshakes_max: int = limit(64, 1, "TLS handshakes in progress, 60 KB each; the oldest one is closed for a new one")
    accept_backlog: int = limit(1_024, 1, "connections that the kernel queues until they are accepted")
    reserved_files: int = limit(64, 32, "open files reserved for the database, logs and listeners")
    thread_stack_bytes: int = limit(
        2 << 20,
        1 << 20,
        "address space for the stack of each connection's thread; unused pages cost no memory",
        most=1 << 30,
    )
    handler_threads: int = limit(
        4, 1, "with shared handlers, threads for the frames whose handling may wait for something", most=1_024
    )
    handshake_seconds: float = limit(
        10, 1, "where TLS is offered, how long a client's first byte may take, and then its handshake"
    )
    idle_seconds: float = limit(300, 1, "a connection that sends nothing for this long is closed")
    frame_seconds: float = limit(
        30, 1, "how long a frame may take to arrive, and a large one may then wait for its turn"
    )
    send_seconds: float = limit(30, 1, "a client that has not read a reply within this time is disconnected")
    max_unsent_bytes: int = limit(
        1 << 20,
        1 << 12,
        "bytes of messages that wait for a client that does not read; beyond this it is disconnected",
        most=1 << 30,
    )
    unsent_bytes_max: int = limit(
        96 << 20,
        1 << 20,
        "bytes that wait for clients that do not read, all together; beyond this the one with the most is disconnected",
        most=1 << 40,
    )
    arriving_bytes_max: int = limit(
        64 << 20,
        1 << 20,
        "bytes of long frames that have not arrived whole or wait for their reply, all together; beyond this the "
        "longest that is not whole is refused",
        most=1 << 40,
    )
    receive_buffer_bytes: int = limit(
        1 << 17, 1 << 12, "what the kernel holds of a connection that is not read (SO_RCVBUF)", most=1 << 30
    )
    half_closed_seconds: float = limit(
        10, 1, "how long to wait for the reply to a client that has closed its sending side and may be gone"
    )
    linger_seconds: float = limit(2, 1, "how long a closing server waits for the client to read its last reply")
    keepalive_seconds: int = limit(60, 4, "silence after which TCP keepalive probes the client", most=32_767)
    unacknowledged_seconds: int = limit(
        60, 1, "a connection whose sent bytes stay unacknowledged for this long is closed", most=2_000_000
    )
    jsocket_frames: bool = field(
        default=True, metadata={"reason": "accept the frames of the Python package jsocket (`JSN1`) beside JSON lines"}
    )


DEFAULT_LIMITS = NetworkLimits()
"""What a server lets its clients do unless told otherwise."""


class ServerOptions(TypedDict, total=False):
    """The fields of `NetworkLimits` as keyword arguments of a server; units and reasons stand there."""

    max_frame_bytes: int
    max_connections: int
    surplus_connections: int
    newcomers_max: int
    newcomers_per_address_max: int
    newcomer_seconds: float
    newcomer_bytes: int
    trusted_networks: tuple[str, ...]
    handshakes_max: int
    accept_backlog: int
    reserved_files: int
    thread_stack_bytes: int
    handler_threads: int
    handshake_seconds: float
    idle_seconds: float
    frame_seconds: float
    send_seconds: float
    max_unsent_bytes: int
    unsent_bytes_max: int
    arriving_bytes_max: int
    receive_buffer_bytes: int
    half_closed_seconds: float
    linger_seconds: float
    keepalive_seconds: int
    unacknowledged_seconds: int
    jsocket_frames: bool


def limits_with(limits: NetworkLimits, options: Mapping[str, Any]) -> NetworkLimits:
    """`limits` with `options` in their place; TypeError for an unknown one, ValueError for a value of no use."""
    known = {each.name: each.type for each in fields(NetworkLimits)}
    for name, value in options.items():
        if name not in known:
            raise TypeError(f"{name!r} is not an option of a server; the options are {', '.join(sorted(known))}")
        if known[name] == "bool":
            valid, expected = isinstance(value, bool), "True or False"
        elif known[name] == "tuple[str, ...]":
            valid, expected = _are_networks(value), "a tuple of networks, such as '10.0.0.0/8'"
        elif known[name] == "int":
            least = 0 if name == "surplus_connections" else 1
            valid, expected = type(value) is int and value >= least, f"a whole number of at least {least}"
        else:
            valid, expected = type(value) in (int, float) and 0 < value < float("inf"), "a number of seconds above 0"
        if not valid:
            raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return replace(limits, **options)


def _are_networks(value: Any) -> bool:
    try:
        return isinstance(value, tuple | list) and all(map(ipaddress.ip_network, value))
    except ValueError:
        return False
