"""Every limit and timeout of the server, once: its unit, its default, what it may be and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from pos_client.protocol.wire import MAX_FRAME_BYTES, MAX_LINES, MAX_POSTINGS

LARGE_FRAME_BYTES = 8_192
"""Larger frames are decoded a few at a time (`large_frames_max`): each holds the interpreter lock for long."""
WORKERS_MAX = 64
"""Processes of one server: each has a writer, and PostgreSQL lets one of them commit at a time."""
ENDING_SECONDS = 5
"""How much longer than `drain_seconds` a process may take to end: then it no longer waits for its database."""
CONTROL_REPLY_SECONDS = 600.0
"""How long a command waits for the running server: closing the books of a million postings is one request."""
PARTITION_POSITIONS = 1 << 24
"""Postings in a partition, if nothing else is asked for: about 17 GB on PostgreSQL, indexes included."""
PARTITION_POSITIONS_MIN = 1 << 20
"""Postings in the smallest partition, and what all others are multiples of: no closing crosses its end."""
ARCHIVE_SCHEMA = "tillwire_archive"
"""Where PostgreSQL keeps archived partitions until they are moved elsewhere."""
PARTITIONS_AHEAD = 4
"""Empty partitions to have in front of the ledger."""
PARTITIONS_MAX = 100
"""Empty partitions that can be asked for: PostgreSQL looks at each of them when it plans a proof or a copy."""


def _limit(default: int, least: int, reason: str, most: int = 10**9) -> int:
    """A setting: below `least` the server would be of no use, above `most` no kernel or machine has it."""
    value: int = field(default=default, metadata={"least": least, "most": most, "reason": reason})
    return value


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may set in the file given to `serve --config` (TOML, same names)."""

    max_frame_bytes: int = _limit(
        MAX_FRAME_BYTES, 1 << 16, "holds 500 ordinary baskets; bounds memory per connection", most=1 << 26
    )
    max_postings: int = _limit(MAX_POSTINGS, 1, "postings a frame: one frame is one unit of a commit")
    max_lines: int = _limit(MAX_LINES, 100, "lines a posting; a till refuses to sell a longer basket in one")
    max_batch_requests: int = _limit(100, 1, "requests in one JSON-RPC batch array")
    batch_reply_bytes_max: int = _limit(
        8 << 20, 1 << 16, "bytes of replies to one batch; the rest of it is `too_large`"
    )
    max_connections: int = _limit(1_024, 1, "lowered at start to what the limit of open files leaves")
    commit_postings_max: int = _limit(2_000, 1, "postings a commit: past it a commit no longer gets cheaper per sale")
    live_postings_max: int = _limit(16, 0, "postings in a frame of live sales; a frame with more is a backlog")
    commit_backlog_max: int = _limit(250, 1, "postings of backlogs in a commit that also carries live sales")
    large_frames_max: int = _limit(4, 1, "frames over 8 KiB decoded and committed at a time; the others wait")
    queue_postings_max: int = _limit(20_000, 1, "postings waiting for the writer; past it the answer is `busy`")
    busy_retry_ms: int = _limit(500, 10, "how long a till told `busy` or `draining` waits before it asks again")
    heartbeat_seconds: int = _limit(30, 1, "how often an idle till pings; feeds completeness")
    silent_after_seconds: int = _limit(90, 1, "three missed heartbeats make a till silent")
    idle_seconds: int = _limit(300, 1, "a connection that says nothing for so long is closed")
    drain_seconds: int = _limit(10, 0, "how long stop() waits for answers in flight")
    frame_seconds: int = _limit(
        30, 1, "a frame must arrive within this time; a frame over 8 KiB waits no longer than this to be decoded"
    )
    send_seconds: int = _limit(30, 1, "a reader that has not taken a reply within this time is dropped")
    half_closed_seconds: int = _limit(
        10, 1, "a peer that has stopped sending, and so may be gone, gets its answer within this time or never"
    )
    linger_seconds: int = _limit(2, 1, "how long a closing server waits for the peer to have read its last words")
    keepalive_seconds: int = _limit(60, 4, "silence after which the peer's machine is probed", most=32_767)
    unacknowledged_seconds: int = _limit(
        60, 1, "sent bytes that stay unacknowledged for so long end the connection", most=2_000_000
    )
    surplus_connections: int = _limit(8, 0, "connections beyond the cap that are told `busy` at the same time")
    reserved_files: int = _limit(64, 32, "open files kept back for the database, logs and listeners")
    thread_stack_bytes: int = _limit(
        2 << 20, 1 << 20, "a connection's address space; untouched it costs nothing", most=1 << 30
    )
    accept_backlog: int = _limit(1_024, 1, "connections the kernel holds until they are accepted")
    clock_ahead_seconds: int = _limit(300, 0, "a posting later than HQ's clock by more is `clock_suspect`")
    clock_behind_days: int = _limit(90, 1, "a posting older than this is `clock_suspect`")
    stock_items_default: int = _limit(1_000, 1, "items a page of `stock`")
    stock_items_max: int = _limit(10_000, 1, "most items a page of `stock`")
    commit_retry_seconds: int = _limit(
        10, 0, "a commit is tried again while PostgreSQL restarts or fails over; past it the answer is `busy`", most=20
    )
    accept_weak_durability: bool = field(
        default=False,
        metadata={"reason": "serve from a PostgreSQL that may lose what it has acknowledged; never for real sales"},
    )
    forbid_negative: bool = field(
        default=False,
        metadata={"reason": "refuse transfer_out and reserve beyond what is available; never a sale"},
    )


STORAGE_RETRY_MS = 5_000
"""How long a till waits while HQ's disk is full or its database locked."""
