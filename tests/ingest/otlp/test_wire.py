"""The field numbers and kinds of our messages are those of the official ones."""

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor import FieldDescriptor as Kind
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from ingest.otlp.wire import LAYOUT, MESSAGES

#: Our message → the official ones that it reads.
OFFICIAL = {
    "Request": [trace_service_pb2.ExportTraceServiceRequest, logs_pb2.LogsData, metrics_pb2.MetricsData],
    "Resource": [resource_pb2.Resource],
    "Scope": [common_pb2.InstrumentationScope],
    "OfResource": [trace_pb2.ResourceSpans, logs_pb2.ResourceLogs, metrics_pb2.ResourceMetrics],
    "OfScope": [trace_pb2.ScopeSpans, logs_pb2.ScopeLogs, metrics_pb2.ScopeMetrics],
    "KeyValue": [common_pb2.KeyValue],
    "AnyValue": [common_pb2.AnyValue],
    "Array": [common_pb2.ArrayValue],
    "Map": [common_pb2.KeyValueList],
    "Status": [trace_pb2.Status],
    "Event": [trace_pb2.Span.Event],
    "Link": [trace_pb2.Span.Link],
    "Span": [trace_pb2.Span],
    "LogRecord": [logs_pb2.LogRecord],
    "Metric": [metrics_pb2.Metric],
    "Points": [metrics_pb2.Gauge, metrics_pb2.Sum],
    "Point": [metrics_pb2.NumberDataPoint],
    "Histograms": [metrics_pb2.Histogram],
    "Histogram": [metrics_pb2.HistogramDataPoint],
    "Exponentials": [metrics_pb2.ExponentialHistogram],
    "Exponential": [metrics_pb2.ExponentialHistogramDataPoint],
    "Buckets": [metrics_pb2.ExponentialHistogramDataPoint.Buckets],
    "Summaries": [metrics_pb2.Summary],
    "Summary": [metrics_pb2.SummaryDataPoint],
    "Quantile": [metrics_pb2.SummaryDataPoint.ValueAtQuantile],
    "Answer": [trace_service_pb2.ExportTraceServiceResponse],
    "Partial": [trace_service_pb2.ExportTracePartialSuccess],
    "RpcStatus": [status_pb2.Status],
    "Detail": [any_pb2.Any],
    "RetryInfo": [error_details_pb2.RetryInfo],
    "Duration": [duration_pb2.Duration],
}
#: Kinds that look alike on the wire to ours.
ALIKE = {
    Kind.TYPE_BYTES: {Kind.TYPE_BYTES, Kind.TYPE_STRING, Kind.TYPE_MESSAGE},
    Kind.TYPE_INT32: {Kind.TYPE_ENUM, Kind.TYPE_INT32},
}


@pytest.mark.parametrize("name", LAYOUT)
def test_our_fields_are_the_official_ones(name: str) -> None:
    for official in OFFICIAL[name]:
        theirs = official.DESCRIPTOR.fields_by_number
        for field in MESSAGES[name].DESCRIPTOR.fields:
            if field.number in theirs or official is not metrics_pb2.Gauge:
                other = theirs[field.number]
                assert other.type in ALIKE.get(field.type, {field.type}), field.name
                assert other.is_repeated == field.is_repeated, field.name
