"""What a rejected row is, so that its bytes can be read again: the content type of a dead letter."""

import re
from typing import Final

#: An event of the hub as a JSON object.
EVENT: Final = "application/json"
CLOUDEVENT: Final = "application/cloudevents+json"

#: Items that mean nothing without the request that they came in: their senders send them again.
OTLP: Final = "application/vnd.llm-hub.otlp-item"
LANGFUSE: Final = "application/vnd.llm-hub.langfuse-item+json"
#: A body that nobody can read.
BYTES: Final = "application/octet-stream"

_MODULE: Final = re.compile(r"application/vnd\.llm-hub\.module\.([a-z0-9_-]+)\+json; version=(\S+)")


def of_module(module: str, version: str) -> str:
    """A row of a module's own form.

    Examples
    --------
    >>> of_module("gateway", "1")
    'application/vnd.llm-hub.module.gateway+json; version=1'
    """
    return f"application/vnd.llm-hub.module.{module}+json; version={version}"


def module_of(form: str) -> tuple[str, str] | None:
    """The module and the version of its rows, where a form is a module's.

    Examples
    --------
    >>> module_of(of_module("prompt-tools", "2"))
    ('prompt-tools', '2')
    """
    match = _MODULE.fullmatch(form)
    return None if match is None else (match[1], match[2])
