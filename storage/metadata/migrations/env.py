"""Alembic's entry: runs on the connection that the caller hands over, in the caller's transaction."""

from alembic import context

from storage.metadata.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
