"""Table definitions of places and terminals; `tables` offers them with all others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, Table

from inventory_server.store.ledger.metadata import TEXT, metadata

location = Table(
    "location",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("name", TEXT),
    Column("time_zone", TEXT),
    Column("day_ends_hour", SmallInteger),
    sqlite_with_rowid=False,
)
"""The locations that HQ knows; NULL: not set."""

terminal = Table(
    "terminal",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("role", TEXT, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("token_hash", LargeBinary),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("epoch", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("lineage", LargeBinary),
    Column("contact_at", BigInteger),
    Column("told_at", BigInteger),
    Column("pending", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
    Column("oldest_pending_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("clock_offset_ms", BigInteger),
    Index(None, "location"),
    sqlite_with_rowid=False,
)
"""`location` is the present one. `clock_offset_ms` is a till's wall clock minus its tick clock."""

enrolment = Table(
    "enrolment",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("code_key", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("wrong_tries", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The one-time codes that terminals are to enrol with; `code_key` is what a code and its `salt` stand for."""

former_location = Table(
    "former_location",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("until_at", BigInteger, primary_key=True),
    Column("location", TEXT, nullable=False),
    Column("since_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index(None, "location"),
    sqlite_with_rowid=False,
)
"""The locations that a terminal was at before the present one, each from `since_at` until it moved.

`position` was the last one in the ledger when it moved."""

adoption = Table(
    "adoption",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("adopted", TEXT, primary_key=True),
    Column("adopted_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""`terminal` may deliver what `adopted` made and did not deliver: it may post at that one's locations, too.

`position` was the last one in the ledger then."""

boot = Table(
    "boot",
    metadata,
    Column("terminal", TEXT, primary_key=True),
    Column("boot", LargeBinary, primary_key=True),
    Column("contacts", TEXT, nullable=False),
    Column("last_minute", BigInteger, nullable=False),
    Column("tick_ms", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("told_tick_ms", BigInteger, nullable=False),
    Column("told_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The latest boots of each terminal's machine (`domain/tick_clock.py`); `contacts` is JSON."""
