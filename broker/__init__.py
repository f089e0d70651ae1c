"""The log: what the doors append to and the streams read from, on SQLite or on Kafka."""
