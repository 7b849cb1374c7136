"""Every limit and timeout of the server, once: its unit, its default, what it may be and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from inventory_server.jsonserver.limits import NetworkLimits, limit
from pos_client.protocol.limits import MAX_LINES, MAX_POSTINGS

LARGE_FRAME_BYTES = 8_192
"""Larger frames are decoded a few at a time (`large_frames_max`): each holds the interpreter lock for long."""
WORKERS_MAX = 64
"""Processes of one server: each has a writer, and PostgreSQL lets one of them commit at a time."""
ENDING_SECONDS = 5
"""How much longer than `drain_seconds` a process may take to end: then it no longer waits for its database."""
CONTROL_REPLY_SECONDS = 60.0
"""How long a command waits for the running server: an import of some thousand products is one commit."""
CONTROL_LONG_REPLY_SECONDS = 600.0
"""The same for a change of many transactions: closing the books of a million postings is one request."""
KILL_SECONDS = 2
"""How much longer than a worker may take to end the supervisor waits before it sends SIGKILL."""
RESTART_SECONDS = 1.0
"""A worker that lived for less is replaced only after this pause: what ended it may end the next one, too."""
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

PARTITION_LOCK_MS = 500
"""One attempt to lock the partitioned tables exclusively: tills that post meanwhile wait behind it."""
PARTITION_RETRY_SECONDS = 10.0
"""How long to retry for that exclusive lock, one `PARTITION_LOCK_MS` at a time."""

CLOSING_ROWS = 1_000
"""Balances written in one transaction while the books are closed: tills wait for no more than that."""
ARCHIVE_ROWS = 4_096
"""Postings copied in one transaction while a partition is archived."""
COPY_ROWS = 2_000
"""Rows read, written and hashed at a time by `db copy` and `db compare`; bounds their memory."""
HISTORY_SEGMENTS = 256
"""Segments that one statement of `history` visits; bounds its number of parameters."""

READERS_MAX = 8
"""Connections for questions: reads take no lock from the writer, but each connection takes memory at the database."""
QUICK_READERS = 2
"""Those of them reserved for the question for one SKU at one location, so that it never waits behind a listing.
With eight, threads only contended for the interpreter lock: 48 context switches a question; with two, 9."""
WRITER_CACHE_ROWS_MAX = 200_000
"""Levels, and lineages, that a writer caches, about 70 MB of levels; past it the cache is emptied and read again."""
RETRY_FIRST_SECONDS = 0.005
"""Pause before a transaction is retried for the first time; it doubles with every retry."""
RETRY_MAX_SECONDS = 0.5
"""The longest pause between two attempts of a transaction."""

POSTGRESQL_CONNECT_SECONDS = 5
"""One attempt to connect to one host."""
POSTGRESQL_UNACKNOWLEDGED_MS = 30_000
"""TCP user timeout: a connection whose sent bytes stay unacknowledged for this long is closed."""
POSTGRESQL_KEEPALIVE = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""TCP keepalive (seconds, seconds, probes): a host that vanished while a connection was idle is noticed after 30 s."""
COMMIT_LOCK_SECONDS = 3
"""How long a commit waits for another server's commit before it is retried; `commit_retry_seconds` holds a few."""
COMMIT_IDLE_SECONDS = 30
"""PostgreSQL ends the transaction of a server that stalls for this long: it blocks all other servers."""
DISCONNECT_SECONDS = 2
"""How long PostgreSQL may still list the connections of a server that has just been stopped."""
STANDBY_CONNECT_SECONDS = 2
"""One attempt to connect to a standby: the question that finds it down is delayed by this, then asks the primary."""
STANDBY_ANSWER_SECONDS = 5
"""How long a standby may take for one statement; the longest listings consist of many short ones."""
STANDBY_RETRY_SECONDS = 10
"""Circuit breaker: a standby that failed is skipped for this long, then one question probes it."""

SQLITE_BUSY_MS = 5_000
"""How long to wait for another process that has locked the database file."""
SQLITE_CACHE_KIB = 65_536
"""Page cache of the writing connection: holds the pages that most commits change."""
SQLITE_CHECKPOINT_PAGES = 4_000
"""WAL pages between checkpoints: four times SQLite's default, since most pages change again before the next one."""
SQLITE_STATEMENTS_MAX = 512
"""Statements that the writing connection keeps compiled: one for each size of about twenty multi-row statements."""


@dataclass(frozen=True, slots=True)
class Settings(NetworkLimits):
    """What an operator may set in the file given to `serve --config` (TOML, same names), the network's limits first."""

    max_postings: int = limit(MAX_POSTINGS, 1, "postings a frame: one frame is one unit of a commit")
    max_lines: int = limit(MAX_LINES, 100, "lines a posting; a till refuses to sell a longer basket in one")
    max_batch_requests: int = limit(100, 1, "requests in one JSON-RPC batch array")
    batch_reply_bytes_max: int = limit(8 << 20, 1 << 16, "bytes of replies to one batch; the rest of it is `too_large`")
    commit_postings_max: int = limit(2_000, 1, "postings a commit: past it a commit no longer gets cheaper per sale")
    live_postings_max: int = limit(16, 0, "postings in a frame of live sales; a frame with more is a backlog")
    commit_backlog_max: int = limit(250, 1, "postings of backlogs in a commit that also carries live sales")
    large_frames_max: int = limit(4, 1, "frames over 8 KiB decoded and committed at a time; the others wait")
    queue_postings_max: int = limit(20_000, 1, "postings waiting for the writer; past it the answer is `busy`")
    busy_retry_ms: int = limit(500, 10, "how long a till told `busy` or `draining` waits before it asks again")
    heartbeat_seconds: int = limit(30, 1, "how often an idle till pings; feeds completeness")
    silent_after_seconds: int = limit(90, 1, "three missed heartbeats make a till silent")
    drain_seconds: int = limit(10, 0, "how long stop() waits for answers in flight")
    clock_ahead_seconds: int = limit(300, 0, "a posting later than HQ's clock by more is `clock_suspect`")
    clock_behind_days: int = limit(90, 1, "a posting older than this is `clock_suspect`")
    stock_items_default: int = limit(1_000, 1, "items a page of `stock`")
    stock_items_max: int = limit(10_000, 1, "most items a page of `stock`")
    commit_retry_seconds: int = limit(
        10, 0, "a commit is tried again while PostgreSQL restarts or fails over; past it the answer is `busy`", most=20
    )
    accept_weak_durability: bool = field(
        default=False,
        metadata={"reason": "serve from a PostgreSQL that may lose acknowledged postings; never for real sales"},
    )
    forbid_negative: bool = field(
        default=False,
        metadata={"reason": "refuse transfer_out and reserve beyond what is available; never a sale"},
    )


STORAGE_RETRY_MS = 5_000
"""How long a till waits while HQ's disk is full or its database locked."""
