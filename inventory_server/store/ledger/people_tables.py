"""Table definitions of users and what they are recognised by; `tables` offers them with all others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table

from inventory_server.store.ledger.metadata import TEXT, metadata

person = Table(
    "person",
    metadata,
    Column("person", TEXT, primary_key=True),
    Column("role", TEXT, nullable=False),
    Column("password", TEXT),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Users; `password` is an Argon2id hash with its parameters, NULL: none was set."""

person_key = Table(
    "person_key",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("person", TEXT, ForeignKey("person.person"), nullable=False),
    Column("purpose", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index(None, "person"),
    sqlite_with_rowid=False,
)
"""Sessions, API tokens and links, each by the SHA-256 of what its holder sends."""
