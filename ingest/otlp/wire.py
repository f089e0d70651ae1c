"""The messages of OTLP and ``google.rpc.Status`` as protobuf's C library reads them.

On the wire a message inside a message is a length and its bytes, as ``bytes`` is. What is looked at one by one (a
span) or mostly repeats (an attribute) is therefore declared as ``bytes`` here: a broken span is found without losing
the others, and equal attributes are read once a body. Names, and other text, are ``bytes`` too: what is no UTF-8 is
repaired, not refused. ``tests/ingest/otlp/test_wire.py`` holds the field numbers against ``opentelemetry-proto``.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final[Mapping[str, int]] = {
    "bytes": _KINDS.TYPE_BYTES,
    "bool": _KINDS.TYPE_BOOL,
    "double": _KINDS.TYPE_DOUBLE,
    "enum": _KINDS.TYPE_INT32,
    "fixed32": _KINDS.TYPE_FIXED32,
    "fixed64": _KINDS.TYPE_FIXED64,
    "int64": _KINDS.TYPE_INT64,
    "sfixed64": _KINDS.TYPE_SFIXED64,
    "sint32": _KINDS.TYPE_SINT32,
    "string": _KINDS.TYPE_STRING,
    "uint32": _KINDS.TYPE_UINT32,
    "uint64": _KINDS.TYPE_UINT64,
}

#: Message → its fields: ``number name kind``; a ``*`` repeats, a ``?`` knows whether it was there.
LAYOUT: Final[Mapping[str, str]] = {
    "Request": "1 resources bytes*",
    "Resource": "1 attributes bytes*",
    "Scope": "1 name bytes, 2 version bytes, 3 attributes bytes*",
    "OfResource": "1 resource Resource, 2 scopes bytes*",
    "OfScope": "1 scope Scope, 2 items bytes*",
    "KeyValue": "1 key bytes, 2 value AnyValue",
    "AnyValue": "1 text bytes?, 2 flag bool?, 3 whole int64?, 4 real double?, 5 array Array?, 6 map Map?, 7 raw bytes?",
    "Array": "1 values AnyValue*",
    "Map": "1 values KeyValue*",
    "Status": "2 message bytes, 3 code enum",
    "Event": "1 time fixed64, 2 name bytes, 3 attributes bytes*",
    "Link": "1 trace_id bytes, 2 span_id bytes, 4 attributes bytes*",
    "Span": (
        "1 trace_id bytes, 2 span_id bytes, 3 trace_state bytes, 4 parent_span_id bytes, 5 name bytes, 6 kind enum, "
        "7 start fixed64, 8 end fixed64, 9 attributes bytes*, 10 dropped uint32, 11 events Event*, 13 links Link*, "
        "15 status Status"
    ),
    "LogRecord": (
        "1 time fixed64, 2 severity enum, 3 severity_text bytes, 5 body AnyValue, 6 attributes bytes*, "
        "9 trace_id bytes, 10 span_id bytes, 11 observed fixed64, 12 event_name bytes"
    ),
    "Metric": (
        "1 name bytes, 3 unit bytes, 5 gauge Points, 7 sum Points, 9 histogram Histograms, "
        "10 exponential Exponentials, 11 summary Summaries"
    ),
    "Points": "1 points Point*, 2 temporality enum, 3 monotonic bool",
    "Point": "3 time fixed64, 4 real double?, 6 whole sfixed64?, 7 attributes bytes*, 8 flags uint32",
    "Histograms": "1 points Histogram*, 2 temporality enum",
    "Histogram": (
        "3 time fixed64, 4 count fixed64, 5 sum double?, 6 bucket_counts fixed64*, 7 bounds double*, "
        "9 attributes bytes*, 10 flags uint32, 11 least double?, 12 most double?"
    ),
    "Exponentials": "1 points Exponential*, 2 temporality enum",
    "Exponential": (
        "1 attributes bytes*, 3 time fixed64, 4 count fixed64, 5 sum double?, 6 scale sint32, 7 zeros fixed64, "
        "8 positive Buckets, 9 negative Buckets, 10 flags uint32, 12 least double?, 13 most double?"
    ),
    "Buckets": "1 offset sint32, 2 counts uint64*",
    "Summaries": "1 points Summary*",
    "Summary": (
        "3 time fixed64, 4 count fixed64, 5 sum double, 6 quantiles Quantile*, 7 attributes bytes*, 8 flags uint32"
    ),
    "Quantile": "1 quantile double, 2 value double",
    "Answer": "1 partial Partial",
    "Partial": "1 rejected int64, 2 message string",
    "RpcStatus": "1 code enum, 2 message string, 3 details Detail*",
    "Detail": "1 type_url string, 2 value bytes",
    "RetryInfo": "1 retry_delay Duration",
    "Duration": "1 seconds int64, 2 nanos enum",
}

_PACKAGE: Final = "llm_hub.otlp"


def _declare(name: str, fields: str) -> descriptor_pb2.DescriptorProto:
    message = descriptor_pb2.DescriptorProto(name=name)
    for entry in fields.split(", "):
        number, field, kind = entry.split()
        plain = kind.rstrip("*?")
        declared = message.field.add(name=field, number=int(number), label=_KINDS.LABEL_OPTIONAL)
        if kind.endswith("*"):
            declared.label = _KINDS.LABEL_REPEATED
        elif kind.endswith("?"):
            declared.proto3_optional = True
            declared.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field}")
        if plain in _SCALARS:
            declared.type = _SCALARS[plain]
        else:
            declared.type, declared.type_name = _KINDS.TYPE_MESSAGE, f".{_PACKAGE}.{plain}"
    return message


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="llm_hub/otlp.proto", package=_PACKAGE, syntax="proto3")
    file.message_type.extend(_declare(name, fields) for name, fields in LAYOUT.items())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in LAYOUT}


#: Message → its class.
MESSAGES: Final[Mapping[str, Any]] = _messages()
