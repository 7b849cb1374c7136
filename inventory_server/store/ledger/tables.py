"""Table definitions of the store. Times are integer microseconds since 1970 UTC, quantities integers of 10⁻⁵.

`posting` and `movement` are the ledger: append-only. `level`, `document` and `lineage` are caches that
can be rebuilt from it. No key depends on the size of the ledger: postings append in position order, and
movements are clustered by segment, so that inserts touch only the newest segment's pages.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Table, text

from inventory_server.store.ledger.alert_tables import alert as alert
from inventory_server.store.ledger.alert_tables import alert_target as alert_target
from inventory_server.store.ledger.alert_tables import delivery as delivery
from inventory_server.store.ledger.alert_tables import observer as observer
from inventory_server.store.ledger.audit_table import audit as audit
from inventory_server.store.ledger.catalogue_tables import barcode as barcode
from inventory_server.store.ledger.catalogue_tables import ordered as ordered
from inventory_server.store.ledger.catalogue_tables import pack as pack
from inventory_server.store.ledger.catalogue_tables import product as product
from inventory_server.store.ledger.catalogue_tables import product_location as product_location
from inventory_server.store.ledger.catalogue_tables import supplier as supplier
from inventory_server.store.ledger.metadata import POSITION
from inventory_server.store.ledger.metadata import TEXT as TEXT
from inventory_server.store.ledger.metadata import metadata as metadata
from inventory_server.store.ledger.people_tables import person as person
from inventory_server.store.ledger.people_tables import person_key as person_key
from inventory_server.store.ledger.terminal_tables import adoption as adoption
from inventory_server.store.ledger.terminal_tables import boot as boot
from inventory_server.store.ledger.terminal_tables import enrolment as enrolment
from inventory_server.store.ledger.terminal_tables import former_location as former_location
from inventory_server.store.ledger.terminal_tables import location as location
from inventory_server.store.ledger.terminal_tables import terminal as terminal

SEGMENT_POSITIONS_LOG2 = 10
"""A segment is 1,024 positions: few enough that a commit touches few pages, many enough that time travel visits few."""

HAS_REFERENCE = "reference IS NOT NULL"

lineage = Table(
    "lineage",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("lineage", LargeBinary, primary_key=True),
    Column("acked_seq", BigInteger, nullable=False),
    Column("beyond", TEXT, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("acked_at", BigInteger),
    Column("said_at", BigInteger),
    Column("said_last_seq", BigInteger),
    Column("said_count", BigInteger),
    Column("said_quantity", BigInteger),
    sqlite_with_rowid=False,
)
"""What HQ has received from each outbox file, and the control totals of the till's last `bye`."""

ledger = Table(
    "ledger",
    metadata,
    Column("book", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("segment_latest_at", BigInteger),
    Column("stamp", BigInteger, nullable=False, server_default="0"),
    Column("archived_position", BigInteger, nullable=False, server_default="0"),
    Column("archived_until", BigInteger, nullable=False, server_default="0"),
    Column("moved_to", TEXT),
    Column("merges", BigInteger, nullable=False, server_default="0"),
)
"""A single row, updated by every commit: the last position, its instant, the latest effective instant in its segment.

Every change sets a new random `stamp`: a writer's cache is valid while the stamp is the one it set. Postings up to
`archived_position`, recorded at `archived_until`, are archived; both are 0 if there is no archive. `moved_to` is the
URL, without a password, of the database that the ledger was moved to: then this one is only read.
`merges` counts the rows of `merge`."""

posting = Table(
    "posting",
    metadata,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False),
    Column("terminal", TEXT, nullable=False),
    Column("lineage", LargeBinary),
    Column("seq", BigInteger),
    Column("type", TEXT, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("utc_offset_minutes", SmallInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("reference", TEXT),
    Column("digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("boot", LargeBinary),
    Column("tick_ms", BigInteger),
    Index(None, "reference", sqlite_where=text(HAS_REFERENCE), postgresql_where=text(HAS_REFERENCE)),
    postgresql_partition_by="RANGE (position)",
)
"""Found by `reference`, too: a till looks up the receipt of another store."""

identity = Table(
    "identity",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The position of each id, kept for ever, archived or not: no id is posted twice."""

movement = Table(
    "movement",
    metadata,
    Column("segment", BigInteger, primary_key=True),
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("entry", Integer, primary_key=True),
    Column("account", SmallInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("event_position", BigInteger),
    Column("quantity", BigInteger, nullable=False),
    Column("on_hand_after", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (segment)",
)
"""The effect of each line, at (`effective_at`, `event_position`) in the order of events, under the SKU that was posted.

`event_position` is the position of the posting that a void reverses, else NULL: its own `position`."""

segment = Table(
    "segment",
    metadata,
    Column("segment", POSITION, primary_key=True, autoincrement=False),
    Column("latest_at", BigInteger, nullable=False),
)
"""Closed segments, each with the latest instant at which any of its movements takes effect."""

closing = Table(
    "closing",
    metadata,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("written_at", BigInteger),
)
"""Closings, each at the end of a segment: `position` and the instant at which it was recorded.

One without `written_at` is incomplete and not used yet; there is at most one, and it is the last."""

balance = Table(
    "balance",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("latest_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Balances at a closing: the sum of all movements up to its `position`, none of which takes effect after it.

A row is valid until the next row of its key."""

straggler = Table(
    "straggler",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("entry", Integer, primary_key=True),
    Column("effective_at", BigInteger, nullable=False),
    Column("event_position", BigInteger),
    Column("quantity", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Movements recorded after a closing that take effect at or before it."""

archive = Table(
    "archive",
    metadata,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("first_position", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)
"""Archived partitions, each up to a closing: `position`, recorded at `closed_at`; `sha256` of its rows in `archived`.

While a partition is being archived, the tables below hold rows beyond the last one; these are not used yet."""

archived = Table(
    "archived",
    metadata,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False),
    Column("terminal", TEXT, nullable=False),
    Column("type", TEXT, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
"""What is kept of each archived posting: enough to answer for its id for ever."""

archived_head = Table(
    "archived_head",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("head", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The head of a terminal's chain at the end of each archived partition in which it posted."""

archived_count = Table(
    "archived_count",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("count_position", BigInteger, primary_key=True),
    Column("moved", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The sum of stock movements before the count at `count_position`, as known at the end of an archived partition.

Kept for earlier counts on which a level may still be based."""

level = Table(
    "level",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("on_hand", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("in_transit", BigInteger, nullable=False),
    Column("counted_at", BigInteger),
    Column("counted_position", BigInteger),
    Column("last_movement_at", BigInteger),
    Index(None, "sku"),
    sqlite_with_rowid=False,
)

count = Table(
    "count",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("effective_at", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("voided_position", BigInteger),
    Column("terminal", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

document_line = Table(
    "document_line",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("document", LargeBinary),
    Column("sku", TEXT, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("role", SmallInteger, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("voided_position", BigInteger),
    Column("waiting", BigInteger, nullable=False),
    Index(None, "document"),
    Index(None, "voided_position"),
    Index(None, "location", "sku", "kind", "source"),
    sqlite_with_rowid=False,
)
"""Lines of postings that open, draw on or close a transfer or a reservation: see `domain/documents.py`.

`waiting` is what a line without a document has not found yet."""

document = Table(
    "document",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("named", BigInteger, nullable=False),
    Column("closed", BigInteger, nullable=False),
    Column("is_closed", SmallInteger, nullable=False),
    Column("drawn", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Index(None, "location", "sku", "kind", "expires_at"),
    sqlite_with_rowid=False,
)
"""Transfers and reservations with what is left of them (`remaining`), as of now."""

reference = Table(
    "reference",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("voided_position", BigInteger),
    Index(None, "position"),
    sqlite_with_rowid=False,
)
"""Deliveries, transfers and adjustments with a `reference`, by a digest of all that makes two of them the same."""

void = Table(
    "void",
    metadata,
    Column("voids", LargeBinary, primary_key=True),
    Column("location", TEXT, primary_key=True),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Which position voids which posting; the void may arrive before its target.

With an empty `location` (an operator named none) it fits any target. The first that fits counts."""

merge = Table(
    "merge",
    metadata,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("ended", TEXT, nullable=False),
    Column("into_sku", TEXT, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("voided_position", BigInteger),
)
"""Merges, few and kept for ever: from there in the order of events on, the SKU `ended` means what `into_sku` means."""

rejection = Table(
    "rejection",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("terminal", TEXT, nullable=False),
    Column("lineage", LargeBinary),
    Column("seq", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("code", TEXT, nullable=False),
    Column("reason", TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reopened_at", BigInteger),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("terminal", TEXT, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

flagged = Table(
    "flagged",
    metadata,
    Column("flag", SmallInteger, primary_key=True, autoincrement=False),
    Column("location", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("names", LargeBinary),
    Index(None, "position"),
    sqlite_with_rowid=False,
)
"""Postings with a flag that waits for a person, by cause: see `domain/exceptions.py`. Settled ones are deleted.

`flag` is the number of its bit, `names` the id that an orphan names."""

settlement = Table(
    "settlement",
    metadata,
    Column("flag", SmallInteger, primary_key=True, autoincrement=False),
    Column("location", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("settled_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Up to which position a person has settled a cause, and when; who did so is in `audit`."""
