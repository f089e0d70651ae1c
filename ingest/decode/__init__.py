"""Bytes → columns. ``rows`` explains, ``ndjson`` and ``arrow`` are quick; all give the same table."""
