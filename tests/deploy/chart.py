"""What the chart must agree about with the hub."""

from typing import Final

from pydantic import SecretStr

from hub.settings import Settings

#: The image says where to listen and keep data, the chart how long to drain and which role has gRPC.
MADE: Final = {"data_dir", "host", "port", "otlp_grpc", "otlp_grpc_port", "drain_s"}


def secret_settings() -> set[str]:
    """Settings that belong into a Secret; URLs may hold a password."""
    fields = Settings.model_fields.items()
    hidden = {name for name, field in fields if field.annotation is SecretStr or field.repr is False}
    return hidden | {name for name, _ in fields if name.endswith("_url")}
