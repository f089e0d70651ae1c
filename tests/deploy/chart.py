"""What the chart must agree about with the hub."""

from typing import Final

from pydantic import SecretStr

from hub.settings import Settings

#: URLs may hold a password.
_URLS: Final = {"broker_url", "warehouse_url", "database_url"}
#: The image says where to listen and keep data, the chart how long to drain and which role has gRPC.
_MADE: Final = {"data_dir", "host", "port", "otlp_grpc", "otlp_grpc_port", "drain_s"}


def secret_settings() -> set[str]:
    """Settings that belong into a Secret."""
    fields = Settings.model_fields.items()
    return {name for name, field in fields if field.annotation is SecretStr or field.repr is False} | _URLS


def not_in_values() -> list[str]:
    """Settings that ``settings`` of the chart's values may not have."""
    return sorted(secret_settings() | _MADE)
