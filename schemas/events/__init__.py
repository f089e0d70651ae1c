"""One event type a file."""
