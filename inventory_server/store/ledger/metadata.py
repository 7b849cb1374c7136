"""What all table definitions share: their metadata, and the types of columns that differ between databases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Compared and sorted bytewise on every database: SKUs that differ only in case are different.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

# INTEGER, not BIGINT, on SQLite: only then is `position` an alias of the rowid.
POSITION = BigInteger().with_variant(Integer, "sqlite")
