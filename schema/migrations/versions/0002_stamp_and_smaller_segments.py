"""A stamp on the ledger, by which writers know whether what they remember still holds; segments of 1,024 positions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger", sa.Column("stamp", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE movement SET segment = position >> 10")
    op.execute("DELETE FROM segment")
    op.execute(
        "INSERT INTO segment (segment, latest_at) SELECT segment, max(occurred_at) FROM movement "
        "WHERE segment < (SELECT position >> 10 FROM ledger) GROUP BY segment"
    )
    op.execute(
        "UPDATE ledger SET segment_latest_at = "
        "(SELECT max(occurred_at) FROM movement WHERE movement.segment = ledger.position >> 10)"
    )
