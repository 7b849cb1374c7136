"""Partitions on PostgreSQL: postings by position, their movements by the same positions' segments.

What a ledger holds becomes its first partition, read once to be checked and not written anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

POSITIONS = 1 << 24
SEGMENT_LOG2 = 10
AHEAD = 4
TABLES = {
    "posting": ("position", "position", 0),
    "movement": ("segment", "segment, location, sku, position, entry", SEGMENT_LOG2),
}


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    head = connection.execute(sa.text("SELECT position FROM ledger")).scalar_one()
    first = (head // POSITIONS + 1) * POSITIONS
    bounds = [0, *(first + number * POSITIONS for number in range(AHEAD + 1))]
    for table, (column, key, shift) in TABLES.items():
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_0")
        op.execute(f"ALTER INDEX pk_{table} RENAME TO {table}_0_pkey")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_0) PARTITION BY RANGE ({column})")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({key})")
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_0 FOR VALUES FROM (0) TO ({first >> shift})")
        ends = [*(str(bound >> shift) for bound in bounds[2:]), "MAXVALUE"]
        for begin, end in zip(bounds[1:], ends, strict=True):
            values = f"FROM ({begin >> shift}) TO ({end})"
            op.execute(f"CREATE TABLE {table}_{begin} PARTITION OF {table} FOR VALUES {values}")
