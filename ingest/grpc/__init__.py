"""OTLP over gRPC, an extra: what is here imports ``grpcio`` and is imported only where that is wanted."""
