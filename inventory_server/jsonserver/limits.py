"""Every limit and timeout of the JSON server, once: its unit, its default, its bounds and the reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from pos_client.protocol.framing import MAX_FRAME_BYTES

READ_BYTES = 4_096
"""Bytes asked for at a time; a blocked read holds a buffer of this size, so idle connections stay small."""
BULK_READ_BYTES = 1 << 16
"""Bytes asked for at a time while a peer sends more than the small buffer takes."""
KEEPALIVE_PROBES = 4
"""Unanswered probes that end a connection: one or two may be lost on a bad line."""
CLOSE_SECONDS = 1.0
"""How long `LineServer.stop` waits for the threads of connections that it has closed by force."""
OTHERS_FIRST_SECONDS = 0.05
"""How long a full process leaves a new connection to the processes that share its socket before it refuses it."""
EXHAUSTED_PAUSE_SECONDS = 0.5
"""How long accepting pauses when file descriptors or memory have run out: retrying at once would spin."""


def limit(default: int, least: int, reason: str, most: int = 10**9) -> int:
    """A configurable limit with its bounds: below `least` a server is of no use, above `most` no kernel has it."""
    value: int = field(default=default, metadata={"least": least, "most": most, "reason": reason})
    return value


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """What a server of JSON lines lets its clients do."""

    max_frame_bytes: int = limit(
        MAX_FRAME_BYTES, 1 << 16, "longest frame (one line); bounds the memory of a connection", most=1 << 26
    )
    max_connections: int = limit(
        1_024, 1, "connections served at a time; lowered at start if the limit of open files allows fewer"
    )
    surplus_connections: int = limit(8, 0, "how many over-limit connections are refused at once")
    accept_backlog: int = limit(1_024, 1, "connections that the kernel queues until they are accepted")
    reserved_files: int = limit(64, 32, "open files reserved for the database, logs and listeners")
    thread_stack_bytes: int = limit(
        2 << 20,
        1 << 20,
        "address space for the stack of each connection's thread; unused pages cost no memory",
        most=1 << 30,
    )
    idle_seconds: int = limit(300, 1, "a connection that sends nothing for this long is closed")
    frame_seconds: int = limit(30, 1, "how long a frame may take to arrive, and a large one may then wait for its turn")
    send_seconds: int = limit(30, 1, "a client that has not read a reply within this time is disconnected")
    half_closed_seconds: int = limit(
        10, 1, "how long to wait for the reply to a client that has closed its sending side and may be gone"
    )
    linger_seconds: int = limit(2, 1, "how long a closing server waits for the client to read its last reply")
    keepalive_seconds: int = limit(60, 4, "silence after which TCP keepalive probes the client", most=32_767)
    unacknowledged_seconds: int = limit(
        60, 1, "a connection whose sent bytes stay unacknowledged for this long is closed", most=2_000_000
    )
