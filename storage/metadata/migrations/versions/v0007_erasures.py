"""Deleted tenants whose data is still to be erased."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clean_since", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("tenant", name="pk_erasures"),
    )


def downgrade() -> None:
    op.drop_table("erasures")
