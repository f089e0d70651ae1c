"""Users, and the one-time links by which they sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("tenant", "email", name="uq_users_tenant_email"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_users_tenant", ondelete="CASCADE"),
    )
    op.create_index("ix_users_tenant", "users", ["tenant"])
    op.create_table(
        "sign_in_links",
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_links"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_sign_in_links_tenant", ondelete="CASCADE"),
    )
    op.create_index("ix_sign_in_links_tenant", "sign_in_links", ["tenant"])


def downgrade() -> None:
    op.drop_table("sign_in_links")
    op.drop_table("users")
