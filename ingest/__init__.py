"""Events in: one file a door, and the way from a body to the log."""
