"""The embedded log: one SQLite file, one writer thread, and a Faust transport over it."""
