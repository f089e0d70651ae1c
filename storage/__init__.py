"""What is kept: the warehouse of events, and the metadata beside it."""
