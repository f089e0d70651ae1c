"""Event types of tenants' own: a JSON Schema for each version."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "event_schemas",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("major", sa.Integer, nullable=False),
        sa.Column("minor", sa.Integer, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_event_schemas_tenant", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "type", "major", "minor", name="pk_event_schemas"),
    )


def downgrade() -> None:
    op.drop_table("event_schemas")
