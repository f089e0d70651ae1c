"""Answers out: one file an endpoint, over the semantic layer."""
