"""Conventions that are not about models: services, deployments, users, HTTP, errors."""

from typing import Final

from ingest.otlp.dialects.dialect import Dialect

DIALECT: Final = Dialect(
    fields={
        "service.name": "service",
        "service.namespace": "project",
        "deployment.environment.name": "environment",
        "deployment.environment": "environment",  # to 1.26
        "session.id": "session_id",
        "user.id": "user_id",
        "enduser.id": "user_id",
        "error.type": "error_type",
        "exception.type": "error_type",
        "http.response.status_code": "http_status_code",
        "http.status_code": "http_status_code",  # to 1.22
        "db.collection.name": "collection",
    },
)
