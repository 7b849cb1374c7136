"""Every limit and timeout of the server, defined once: its unit, default, bounds and reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from inventory_server.jsonserver import NetworkLimits, limit
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.limits import MAX_LINES, MAX_POSTINGS

LARGE_FRAME_BYTES = 8_192
"""Larger frames are decoded a few at a time (`large_frames_max`): decoding one holds the interpreter lock for long."""
REVOCATIONS_SECONDS = 2.0
"""How often a server looks for revoked terminals, to hang up on them; each is refused at its next frame anyway."""
REVOCATIONS_PAGE = 100
"""Entries of the audit trail that are read at a time for that."""
PINGS_SECONDS = 5.0
"""How long a ping may wait to be written: by then a fifth of a thousand tills' pings share a commit."""
PINGS_TOGETHER = 200
"""Pings that wait for the writer at a time: they leave the queue to sales."""
WORKERS_MAX = 64
"""Processes of one server: each has a writer, and PostgreSQL admits one commit at a time."""
ENDING_SECONDS = 5
"""After `drain_seconds` and this, a stopping process no longer waits for its database and exits."""
CONTROL_REPLY_SECONDS = 60.0
"""How long a command waits for the running server: an import of some thousand products is one commit."""
CONTROL_LONG_REPLY_SECONDS = 600.0
"""The same for a change of many transactions: closing the books of a million postings is one request."""
RUNTIME_FOLDER = "/run/tillwire"
"""Where servers on PostgreSQL have their control sockets, if systemd made it for the service (`RuntimeDirectory=`)."""
DATABASE_KEY_DIGITS = 16
"""Hex digits of SHA-256 in the names of those sockets: the ledgers of one machine never share them."""
TOKEN_BYTES = 32
"""Random bytes of a terminal's token: 256 bits cannot be guessed."""
PKI_AUTHORITY_DAYS = 7_300
"""How long a new certificate authority is valid: every till has to be enrolled again when it ends."""
PKI_CERTIFICATE_DAYS = 397
"""The same for what it signs: a yearly renewal, with a month to spare."""
PKI_BACKDATED_SECONDS = 3_600
"""How long before it is made a certificate is valid: the clock of a till may be slow."""
DOCTOR_CERTIFICATE_DAYS_MIN = 30
"""Days that a certificate must still be valid: enough to renew it in peace."""
DOCTOR_DISK_BYTES_MIN = 1 << 30
"""Free bytes below which the disk is a problem: about a million sales."""
DOCTOR_TILLS_MIN = 3
"""Tills that it takes to doubt HQ's own clock."""
IMPORT_CHUNK_BYTES = MAX_FRAME_BYTES // 2
"""Bytes of products in one request: half of the longest frame that a running server accepts by default."""
SKUS_ASKED = 500
"""Products of a stock sheet in one question: a statement of a few tens of kilobytes."""
CHANGES_SHOWN = 20
"""How many changes of a catalogue a rehearsal shows; JSON has all."""
VARIANCES_SHOWN = 10
"""How many differences an import of counts shows, the largest: those that a typing error makes."""
QUOTA_RETRY_MS = 60_000
"""How long a till waits that has used up a daily quota: a thousandth of it, or so, is free again then."""
LOG_LINES_WAITING_MAX = 10_000
"""Lines of the log that wait for whoever reads standard error; beyond this they are dropped and counted."""
LOG_FLUSH_SECONDS = 1.0
"""How long a process that ends waits for them to be taken."""
LOGGED_REASON_LENGTH_MAX = 200
"""Longest reason in a log line, in characters: a sentence of an error, not a posting."""
DATABASE_TEXT_LENGTH_MAX = 300
"""Longest text of a database in an error message or a log line, in characters: an error, or a list of tables."""
TILLS_NAMED_MAX = 20
"""Most tills that a sentence of `reconcile` names; the others are counted."""
SHOWN_DIGEST_DIGITS = 12
"""Hex digits shown of a table's SHA-256: enough to see that two differ."""
NEAR_LETTERS = 2
"""First letters that a misspelt terminal or SKU is expected to share with the right one."""
NEAR_NAMES_MAX = 1_000
"""Most names among which the right one is looked for: comparing them takes milliseconds, also for the writer."""
SHOWN_ARGUMENT_LENGTH_MAX = 80
"""Longest argument of a command repeated in an error message, in characters: one line of a terminal."""
GC_THRESHOLDS = (100_000, 50, 1_000)
"""Allocations before a collection of each generation: rarely, since reference counts free nearly everything."""
PROGRESS_SECONDS = 1.0
"""Shortest time between two `progress` notifications on the control socket: as often as a person looks."""
HELLO_THREADS = 1
"""Threads that check tokens: a check takes a fraction of a millisecond, and guesses must not crowd out questions."""
HELLO_DELAY_SECONDS = 0.25
"""How long the answer to a wrong token is put off; it doubles with each wrong one for a terminal from an address."""
HELLO_DELAY_MAX_SECONDS = 2.0
"""The longest of these delays: a till that was given its right token must not wait for long."""
HELLO_FAILURES_SECONDS = 60.0
"""After so long without a wrong token for a terminal from an address, the delay begins anew."""
HELLO_FAILURES_MAX = 4_096
"""Pairs of address and terminal whose wrong tokens are remembered; the oldest is forgotten for a new one."""
REFUSED_NAMES_MAX = 1_000
"""Terminals whose refused hellos are counted for the log; the oldest is forgotten for a new one."""
REFUSALS_LOGGED_PER_MINUTE = 60
"""Lines that a process logs a minute for one kind of refusal: a till that retries for ever must not fill the disk."""
FENCES_ALARMING = 3
"""Fenced connections of a till within `FENCES_SECONDS` that are an alarm: a restart, or a move, fences one."""
FENCES_SECONDS = 600
"""How long a fenced connection counts: two devices that share a name fence each other every 30 to 120 seconds."""
KILL_SECONDS = 2
"""How long after a worker should have exited the supervisor sends SIGKILL."""
RESTART_SECONDS = 1.0
"""A worker that ran for less than this is replaced only after this pause: the next one may fail the same way."""
KEPT_RESTART_FIRST_SECONDS = 1.0
"""How long after it has ended a program beside the server, such as the web process, is started again; it doubles."""
KEPT_RESTART_MAX_SECONDS = 30.0
"""The longest of these pauses: somebody may have mended the cause meanwhile."""
KEPT_LONG_SECONDS = 60.0
"""A program that ran for so long is started again after the first pause: it did not fail at its start."""
PARTITION_POSITIONS = 1 << 24
"""Postings in a partition by default: about 17 GB on PostgreSQL, indexes included."""
PARTITION_POSITIONS_MIN = 1 << 20
"""Postings in the smallest partition; all others are multiples of it, so that no closing crosses a boundary."""
ARCHIVE_SCHEMA = "tillwire_archive"
"""The schema that holds archived partitions until they are moved elsewhere."""
PARTITIONS_AHEAD = 4
"""Empty partitions to keep ahead of the ledger."""
PARTITIONS_MAX = 100
"""Most empty partitions to keep ahead: PostgreSQL looks at each of them when it plans a proof or a copy."""

PARTITION_LOCK_MS = 500
"""Timeout of one attempt to lock the partitioned tables exclusively; posting waits behind it."""
PARTITION_RETRY_SECONDS = 10.0
"""How long to retry for that exclusive lock, one `PARTITION_LOCK_MS` at a time."""

CLOSING_ROWS = 1_000
"""Balances written in one transaction while the books are closed; bounds how long tills wait behind it."""
ARCHIVE_ROWS = 4_096
"""Postings copied in one transaction while a partition is archived."""
VERIFY_ROWS = 2_000
"""Rows read at a time by `verify`; bounds its memory."""
VERIFY_LINES = 20_000
"""Document lines drawn anew at a time by `verify`, or those of one (location, sku)."""
COPY_ROWS = 2_000
"""Rows read, written and hashed at a time by `db copy` and `db compare`; bounds their memory."""
PAGE_BYTES_MAX = 1 << 21
"""Bodies read at a time by `verify`, `db copy` and `db compare`; a count of a whole store may take 1 MB."""
ANSWER_BYTES_MAX = 1 << 22
"""About the longest page of `stock` or `history`: 10,000 usual items take half of it; with long names it has fewer."""
ANSWER_ITEM_BYTES = 250
"""What an item of such a page takes besides its names and texts, rounded up."""
POSTINGS_WINDOW = 1 << 13
"""Positions that one statement of the list of postings searches; it has no index but that of references."""
POSTINGS_SEARCHED_MAX = 1 << 18
"""Positions that one page of that list searches: a fraction of a second; the next page goes on."""
SOLD_POSTINGS = 1_000
"""Bodies read at a time by the list of sales; bounds its memory."""
FEED_POSITIONS = 1_000
"""Positions in a page of the feed: a watcher hears of its place at least so often."""
FEED_MOVEMENTS = 5_000
"""Changes in a page of the feed; one large count may have more. Bounds its memory."""
FEED_TURN_SECONDS = 0.05
"""How often a process looks for new positions while somebody watches: as often as a screen is worth changing."""
FEED_RETRY_SECONDS = 1.0
"""Pause after the database could not be asked."""
FEED_RING_POSITIONS = 4_096
"""Latest positions that a process keeps encoded for its watchers: at least a second of the busiest trade."""
FEED_RING_BYTES = 8 << 20
"""Bytes of them, but for a single one that is larger."""
FEED_SEND_BYTES = 1 << 19
"""Bytes of positions sent to a watcher at a time, but for a single one that is larger."""
FEED_QUIET_SECONDS = 30.0
"""A watcher that nothing matches hears of its place at least so often."""
FEED_READERS = 2
"""Watchers for whom the ledger is read at a time: of the threads that answer questions, most stay free."""
ORDER_KEYS = 5_000
"""Products, each at a location, that the order list reads at a time: bounds its memory."""
HISTORY_SEGMENTS = 256
"""Segments that one statement of `history` visits; bounds its number of parameters."""

READERS_MAX = 8
"""Connections for queries: reads do not block the writer, but each connection takes memory at the database."""
QUICK_READERS = 2
"""Those reserved for stock queries for one SKU at one location, which so never wait behind a listing.
Eight only contend for the interpreter lock: 48 context switches per query, against 9 with two."""
STOCK_THREADS = QUICK_READERS
"""Threads that ask such queries: more would wait for those connections."""
QUESTION_THREADS = READERS_MAX
"""Threads that ask all others."""
BATCH_THREADS = 4
"""Threads that answer batches: each puts up to `max_batch_requests` to the store, while live sales go on."""
QUESTIONS_WAITING_MAX = 1_024
"""Questions, and batches, that wait for those threads, as many as clients by default; above this it is `busy`."""
BACKLOG_SHARES_MAX = 500
"""A heavier part of a backlog has a commit of its own, in turns with live sales, which so wait for one at most."""
LINE_BYTES_MIN = 24
"""Bytes of the shortest line of a posting: what a void reverses is weighed by the length of its body."""
ROWS_PER_MOVEMENT = 16
"""Rows that a late count looks back on for the price of a movement that is entered: reading one takes 2 µs."""
LOOKED_BACK_MAX = 80_000
"""Most rows of a product that are counted for that: as heavy as a whole commit."""
WRITER_CACHE_ROWS_MAX = 200_000
"""Levels, and lineages, that a writer caches (about 70 MB of levels); a full cache is emptied and refilled."""
PRELOADED_ROWS_MAX = WRITER_CACHE_ROWS_MAX // 2
"""Levels, and products, that a writer reads as it starts, in a quarter of a second; the cache has room for more."""
OPENING_ATTEMPTS = 200
"""How often opening a ledger tries to write to it: under SERIALIZABLE a server's commit makes an attempt fail."""
RETRY_FIRST_SECONDS = 0.005
"""Pause before the first retry of a transaction; it doubles with every retry."""
RETRY_MAX_SECONDS = 0.5
"""Longest pause between two attempts of a transaction."""

POSTGRESQL_CONNECT_SECONDS = 5
"""Timeout of one attempt to connect to one host."""
POSTGRESQL_UNACKNOWLEDGED_MS = 30_000
"""TCP user timeout: a connection whose sent bytes stay unacknowledged for this long is closed."""
POSTGRESQL_KEEPALIVE = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""TCP keepalive (seconds, seconds, probes): a host that vanished while a connection was idle is noticed after 30 s."""
COMMIT_LOCK_SECONDS = 3
"""How long a commit waits for another server's commit before it is retried, a few times in `commit_retry_seconds`."""
COMMIT_IDLE_SECONDS = 30
"""PostgreSQL aborts the transaction of a server that stalls for this long, since it blocks all other servers."""
DISCONNECT_SECONDS = 2
"""How long PostgreSQL may still list the connections of a server that has just stopped."""
DISCONNECT_POLL_SECONDS = 0.05
"""How often that list is read meanwhile."""
STANDBY_CONNECT_SECONDS = 2
"""Timeout of one attempt to connect to a standby; a query that finds it down then asks the primary."""
STANDBY_ANSWER_SECONDS = 5
"""Timeout of one statement on a standby; the longest listings consist of many short statements."""
STANDBY_RETRY_SECONDS = 10
"""Circuit breaker: a standby that failed is skipped for this long, then one query probes it."""

SWIFT_COMMIT_SECONDS = 0.005
"""A thread that serves clients commits by itself while commits take at most this: so long Python lets others wait."""
SWIFT_COMMIT_MOVEMENTS = 64
"""Most that it commits by itself, in movements: a sale of three lines from each of 16 tills. More is worth waking."""
SQLITE_BUSY_MS = 5_000
"""How long to wait for another process's lock on the database file."""
SQLITE_CACHE_KIB = 65_536
"""Page cache of the writing connection, for the pages that most commits change."""
SQLITE_CHECKPOINT_PAGES = 4_000
"""WAL pages between checkpoints; four times SQLite's default, since most pages change again before the next one."""
SQLITE_STEPS = 100_000
"""Steps of SQLite's machine, about two milliseconds, after which a question is looked at: is its time over?"""
SQLITE_STATEMENTS_MAX = 512
"""Statements that the writing connection keeps prepared: one per row count of about twenty multi-row statements."""


@dataclass(frozen=True, slots=True)
class Settings(NetworkLimits):
    """The settings of `serve --config` (TOML, same names), the network's limits first."""

    max_postings: int = limit(MAX_POSTINGS, 1, "postings per frame; a frame is committed as a whole unless it is heavy")
    max_lines: int = limit(MAX_LINES, 100, "lines per posting; a till refuses a longer sale")
    till_quantity_max: int = limit(
        1_000_000, 1, "quantity of a till's line, up or down: more is a scanned barcode; operators may post 10⁹"
    )
    max_batch_requests: int = limit(100, 1, "requests per JSON-RPC batch")
    batch_reply_bytes_max: int = limit(
        8 << 20, 1 << 16, "bytes of replies to one batch; the requests after that are answered `too_large`"
    )
    commit_movements_max: int = limit(
        5_000, 1, "movements per commit, about a fifth of a second; a heavier frame is committed in parts"
    )
    live_postings_max: int = limit(16, 0, "a frame with more postings than this is a backlog, not live sales")
    commit_backlog_max: int = limit(
        2_000, 1, "backlog movements in a commit that also contains live sales: a frame of 500 usual baskets"
    )
    large_frames_max: int = limit(4, 1, "frames over 8 KiB that are decoded and committed at a time; others wait")
    queue_postings_max: int = limit(
        20_000, 1, "postings waiting for the writer, half of them for live sales alone; above this the answer is `busy`"
    )
    busy_retry_ms: int = limit(500, 10, "how long a till waits before it retries after `busy` or `draining`")
    refused_postings_daily_max: int = limit(
        10_000, 1, "rejected and conflicting postings of a till that are recorded a day; then it is answered `busy`"
    )
    refused_bytes_daily_max: int = limit(
        4 << 20, 0, "bytes of their bodies that are kept a day of each till; of others HQ keeps the digest"
    )
    unknown_locations_daily_max: int = limit(
        1_000, 1, "postings of a till a day to locations that HQ does not know; then it is answered `busy`"
    )
    new_skus_daily_max: int = limit(
        100_000,
        1,
        "SKUs a day that a till is first to sell and no catalogue lists; then it is answered `busy`",
    )
    heartbeat_seconds: int = limit(30, 1, "how often an idle till pings; completeness depends on it")
    silent_after_seconds: int = limit(
        90, 1, "a till counts as silent after this long without contact: three heartbeats"
    )
    drain_seconds: int = limit(10, 0, "how long a stopping server waits for requests in flight")
    clock_tolerance_seconds: int = limit(
        2, 0, "a till's clock may be off by this much; beyond it the tick clock corrects, or `clock_suspect` is flagged"
    )
    clock_suspect_days: int = limit(45, 1, "a posting older than this is flagged `clock_suspect`")
    question_seconds: int = limit(
        10, 1, "what one question of a client may take of the database; then it is answered `too_large`"
    )
    stock_items_default: int = limit(1_000, 1, "page size of `stock` and `history` if the request names none")
    stock_items_max: int = limit(10_000, 1, "largest page of `stock` and `history`")
    commit_retry_seconds: int = limit(
        10,
        0,
        "how long a commit is retried while PostgreSQL restarts or fails over; then the answer is `busy`",
        most=20,
    )
    accept_weak_durability: bool = field(
        default=False,
        metadata={"reason": "serve even if PostgreSQL's settings may lose acknowledged postings; never for real sales"},
    )
    forbid_negative: bool = field(
        default=False,
        metadata={"reason": "reject `transfer_out` and `reserve` beyond what is available; a sale is never rejected"},
    )


QUOTA_RETRY_MS = 60_000
"""How long a till waits that has used up a quota of a day: about a thousandth of it is free again then."""
STORAGE_RETRY_MS = 5_000
"""How long a till waits before it retries while HQ's disk is full or its database locked."""
