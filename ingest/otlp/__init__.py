"""OTLP → events: reading (``protobuf``, ``json``), what attributes mean (``dialects``), and one file a signal."""
