"""Ids in a table of their own: an id stays taken when its posting is no longer at hand."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO identity (id, position) SELECT id, position FROM posting ORDER BY id")
    op.drop_index(op.f("ix_posting_id"), "posting")
