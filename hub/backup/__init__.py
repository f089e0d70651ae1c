"""A hub in one file, and back: the same file for both ways to run."""
