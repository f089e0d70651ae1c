"""Metadata: tenants, keys, users, audit, prices and the writer's journal; SQLAlchemy over SQLite or PostgreSQL."""
