"""A tenant's own prices."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_MONEY = (
    "input_price_usd_per_mtok",
    "output_price_usd_per_mtok",
    "cache_read_price_usd_per_mtok",
    "cache_write_price_usd_per_mtok",
    "reasoning_price_usd_per_mtok",
    "batch_discount",
    "request_price_usd",
    "gpu_hour_usd",
    "gpus",
)


def upgrade() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(100)),
        sa.Column("model", sa.String(200), nullable=False),
        *(sa.Column(name, sa.String(40)) for name in _MONEY),
        sa.Column("input_tokens_per_gpu_hour", sa.BigInteger()),
        sa.Column("output_tokens_per_gpu_hour", sa.BigInteger()),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_prices_tenant", ondelete="CASCADE"),
    )
    op.create_index("ix_prices_tenant_model_valid_from", "prices", ["tenant", "model", "valid_from"])


def downgrade() -> None:
    op.drop_table("prices")
