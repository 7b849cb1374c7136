"""Table definitions of alerts: what was noticed, what waits to be delivered, to whom, and how far the observer is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, text

from inventory_server.store.ledger.metadata import POSITION, TEXT, metadata

IS_OPEN = "closed_at IS NULL"

alert = Table(
    "alert",
    metadata,
    Column("number", POSITION, primary_key=True, autoincrement=False),
    Column("kind", TEXT, nullable=False),
    Column("location", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("since_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("said", TEXT, nullable=False),
    Column("closed_at", BigInteger),
    Index(None, "closed_at"),
    Index(None, "kind", "location", "subject", unique=True, sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
)
"""Alerts, at most one open of each (kind, location, subject); `said` is the sentence with which it was opened.

`position`: up to where the feed had been read then. Closed ones are kept for a year."""

delivery = Table(
    "delivery",
    metadata,
    Column("target", TEXT, primary_key=True),
    Column("queued_at", BigInteger, primary_key=True, autoincrement=False),
    Column("alert", BigInteger, primary_key=True, autoincrement=False),
    Column("event", SmallInteger, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Index(None, "alert"),
    sqlite_with_rowid=False,
)
"""What waits to be delivered to each target, in this order. `event` is the number of what happened to the alert.

A row is made in the transaction that opens or closes the alert, and deleted once the target has taken it."""

alert_target = Table(
    "alert_target",
    metadata,
    Column("target", TEXT, primary_key=True),
    Column("delivered", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInteger),
    Column("next_at", BigInteger),
    Column("paused_at", BigInteger),
    Column("last_error", TEXT),
    sqlite_with_rowid=False,
)
"""Targets of deliveries: how many each has taken, and since when it does not (`failures` in a row).

`next_at` is when it is tried again; a paused one waits for a person."""

observer = Table(
    "observer",
    metadata,
    Column("book", Integer, primary_key=True, autoincrement=False),
    Column("owner", TEXT, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("proven", BigInteger, nullable=False),
    Column("mismatches", BigInteger, nullable=False),
    Column("proven_at", BigInteger),
)
"""A single row, made when the ledger is first observed: which process observes it, and how far it has read the feed.

`proven` and `mismatches` count the levels that the background proof compared with the ledger."""
