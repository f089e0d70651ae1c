"""Observations of Langfuse's clients that have begun and not yet ended."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "held_observations",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("key", sa.LargeBinary(16), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_held_observations_tenant", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_held_observations"),
    )
    op.create_index("ix_held_observations_tenant_expires_at", "held_observations", ["tenant", "expires_at"])


def downgrade() -> None:
    op.drop_table("held_observations")
