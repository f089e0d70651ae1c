"""Benchmarks: each prints one JSON line last, ``{"name", "machine", "figures": {…}, "ratios": {…}}``."""
