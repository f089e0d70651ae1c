"""OTLP over HTTP, end to end: spans in → stored, priced, rolled up and queryable.

200 spans a request, in traces of eight as an instrumented agent writes them: a server span, an agent's run, three calls
of models with prompts and answers, an embedding, a retrieval and a tool. The clock stops when a question sees them all;
``door_us_per_span`` is the decoder alone, in this process.
"""

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import numpy as np
import orjson

from benchmarks.common import machine, options, report
from benchmarks.ingest import run
from benchmarks.load import MARK, MODELS, Body
from ingest.batch import Arrival
from ingest.limits import Limits
from ingest.otlp.spans import decode_spans
from ingest.otlp.wire import MESSAGES

_WORDS = ("order", "shipped", "arrive", "monday", "please", "refund", "policy", "attached", "customer", "thanks")
_TRACE = 8
_RESOURCE = {
    "service.name": "support-agent",
    "service.version": "1.14.2",
    "deployment.environment.name": "production",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.version": "1.38.0",
    "host.name": "worker-3",
}


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _messages(rng: random.Random, role: str, words: int) -> str:
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": _text(rng, words)}]}]).decode()


def _chat(rng: random.Random) -> dict[str, Any]:
    provider, model = rng.choice(MODELS)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(96):x}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": int(rng.lognormvariate(6.5, 0.9)),
        "gen_ai.usage.output_tokens": int(rng.lognormvariate(5, 1)),
        "gen_ai.usage.cache_read.input_tokens": rng.choice((0, 0, 512)),
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "server.address": f"api.{provider}.com",
        "server.port": 443,
        "gen_ai.input.messages": _messages(rng, "user", 60),
        "gen_ai.output.messages": _messages(rng, "assistant", 30),
    }


def _spans(rng: random.Random) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Name, parent's place and attributes of the spans of one trace."""
    who = {"session.id": f"s-{rng.randrange(997)}", "user.id": f"u-{int(rng.paretovariate(0.9)) % 5000}"}
    yield (
        "POST /chat",
        -1,
        who | {"http.request.method": "POST", "http.route": "/chat", "http.response.status_code": 200},
    )
    yield "invoke_agent refund", 0, who | {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "refund"}
    for _ in range(3):
        yield "chat", 1, who | _chat(rng)
    embedding = {"gen_ai.request.model": "text-embedding-3-small", "gen_ai.provider.name": "openai"}
    yield "embeddings", 1, embedding | {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 12}
    found = {
        "openinference.span.kind": "RETRIEVER",
        "input.value": _text(rng, 8),
        **{f"retrieval.documents.{n}.document.id": f"d-{rng.randrange(500)}" for n in range(4)},
        **{f"retrieval.documents.{n}.document.score": round(rng.random(), 3) for n in range(4)},
    }
    yield "search handbook", 1, found
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_order"}
    yield "execute_tool get_order", 1, tool | {"gen_ai.tool.call.arguments": '{"order": 17}'}


def request(rows: int, seed: int) -> dict[str, Any]:
    """A request in OTLP's JSON, with values as they are; its trace ids begin with :data:`MARK`."""
    rng, spans = random.Random(seed), list[dict[str, Any]]()
    while len(spans) < rows:
        trace_id, ids = MARK + f"{rng.getrandbits(96):024x}", [f"{rng.getrandbits(64):016x}" for _ in range(_TRACE)]
        ended = int((datetime.now(UTC) - timedelta(milliseconds=rng.randrange(60_000))).timestamp() * 1e9)
        for place, (name, parent, attributes) in enumerate(_spans(rng)):
            spans.append(
                {
                    "traceId": trace_id,
                    "spanId": ids[place],
                    "parentSpanId": ids[parent] if parent >= 0 else "",
                    "name": name,
                    "kind": 3,
                    "startTimeUnixNano": str(ended - int(rng.lognormvariate(7, 0.6) * 1e6)),
                    "endTimeUnixNano": str(ended),
                    "attributes": attributes,
                }
            )
    return {"scope": "bench", "resource": _RESOURCE, "spans": spans[:rows]}


def _any(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_any(item) for item in value]}}
        case _:
            return {"stringValue": value}


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any(value)} for key, value in attributes.items()]


def as_json(made: dict[str, Any]) -> bytes:
    """The request as an exporter writes it in JSON."""
    spans = [{**span, "attributes": _pairs(span["attributes"])} for span in made["spans"]]
    scoped = {"scope": {"name": made["scope"]}, "spans": spans}
    return orjson.dumps(
        {"resourceSpans": [{"resource": {"attributes": _pairs(made["resource"])}, "scopeSpans": [scoped]}]}
    )


def _value(value: Any) -> Any:
    name = {bool: "flag", int: "whole", float: "real"}.get(type(value))
    if isinstance(value, list):
        array = MESSAGES["Array"](values=[_value(item) for item in value])
        return MESSAGES["AnyValue"](array=array)
    return MESSAGES["AnyValue"](**({name: value} if name else {"text": value.encode()}))


def _encoded(attributes: dict[str, Any]) -> list[bytes]:
    make = MESSAGES["KeyValue"]
    return [make(key=key.encode(), value=_value(value)).SerializeToString() for key, value in attributes.items()]


def as_protobuf(made: dict[str, Any]) -> bytes:
    """The request as an exporter writes it in protobuf."""
    items = [
        MESSAGES["Span"](
            trace_id=bytes.fromhex(span["traceId"]),
            span_id=bytes.fromhex(span["spanId"]),
            parent_span_id=bytes.fromhex(span["parentSpanId"]),
            name=span["name"].encode(),
            kind=span["kind"],
            start=int(span["startTimeUnixNano"]),
            end=int(span["endTimeUnixNano"]),
            attributes=_encoded(span["attributes"]),
        ).SerializeToString()
        for span in made["spans"]
    ]
    scoped = MESSAGES["OfScope"](scope=MESSAGES["Scope"](name=made["scope"].encode()), items=items)
    resource = MESSAGES["Resource"](attributes=_encoded(made["resource"]))
    whole = MESSAGES["OfResource"](resource=resource, scopes=[scoped.SerializeToString()])
    return bytes(MESSAGES["Request"](resources=[whole.SerializeToString()]).SerializeToString())


class _Spans:
    """Spans whose trace ids change at every :meth:`next`."""

    path = "/v1/traces"

    def __init__(self, body: bytes, mark: bytes, rows: int) -> None:
        self.rows = rows
        self._width = len(mark)
        self._buffer = np.frombuffer(body, np.uint8).copy()
        self._at = np.array(list(_places(body, mark)))[:, None] + np.arange(len(mark))
        if len(self._at) != rows:
            raise RuntimeError(f"{len(self._at)} marks in {rows} spans")

    def taken(self, status: int, answer: bytes) -> bool:
        """Whether all of a body was: there is no partial success."""
        return status == 200 and answer in (b"", b"{}")


class ProtobufBody(_Spans):
    """An ``ExportTraceServiceRequest``."""

    content_type = "application/x-protobuf"

    def __init__(self, rows: int, seed: int) -> None:
        super().__init__(as_protobuf(request(rows, seed)), b"\x0a\x10" + bytes.fromhex(MARK), rows)
        self._at = self._at[:, 2:]

    def next(self, counter: int) -> bytes:
        """The body with trace ids that belong to ``counter`` alone."""
        self._buffer[self._at] = np.frombuffer((counter + 1).to_bytes(4, "big"), np.uint8)
        return self._buffer.tobytes()


class JsonBody(_Spans):
    """The same in JSON."""

    content_type = "application/json"

    def __init__(self, rows: int, seed: int) -> None:
        super().__init__(as_json(request(rows, seed)), b'"traceId":"' + MARK.encode(), rows)
        self._at = self._at[:, -len(MARK) :]

    def next(self, counter: int) -> bytes:
        """The body with trace ids that belong to ``counter`` alone."""
        self._buffer[self._at] = np.frombuffer(b"%08x" % (counter + 1), np.uint8)
        return self._buffer.tobytes()


class GrpcConnection:
    """One channel to the hub's gRPC door, by gRPC's own client."""

    def __init__(self, url: str, key: str, *_: object) -> None:
        with urllib.request.urlopen(f"{url}/health/ready") as answer:
            self._address = json.load(answer)["checks"]["otlp_grpc"]["detail"]
        self._metadata = (("authorization", f"Bearer {key}"),)

    async def open(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._export = self._channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one body; 503 where the hub is busy."""
        try:
            return 200, await self._export(body, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            return 503 if error.code() is grpc.StatusCode.UNAVAILABLE else 500, str(error.details()).encode()

    def close(self) -> None:
        """The channel goes with the loop."""


def _places(body: bytes, mark: bytes) -> Iterator[int]:
    place = body.find(mark)
    while place >= 0:
        yield place
        place = body.find(mark, place + 1)


def door_us(body: bytes, rows: int, *, plain: bool, times: int) -> float:
    """CPU microseconds a span of the decoder alone: the median of several runs."""
    now = datetime.now(UTC)
    arrival = Arrival("bench", now, now - timedelta(days=90), now + timedelta(days=1), "otlp_traces")
    spent = []
    for _ in range(times):
        began = time.process_time()
        for _ in range(5):
            decode_spans(body, arrival, Limits(), plain=plain)
        spent.append((time.process_time() - began) / 5 / rows * 1e6)
    return sorted(spent)[len(spent) // 2]


def _made(make: Callable[[int, int], Body], rows: int, number: int) -> Body:
    return make(rows, number)


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--seconds", type=float, help="length of each run (default 30)")
    parser.add_argument("--rows", type=int, default=200, help="spans a request")
    parser.add_argument("--connections", type=int, default=16, help="exporters that send at once")
    parser.add_argument("--only", choices=("protobuf", "json"))
    parser.add_argument("--via", choices=("http", "grpc", "both"), default="http", help="gRPC takes protobuf alone")
    args = parser.parse_args()
    seconds = args.seconds or (3.0 if args.quick else 30.0)
    before, figures = machine(), dict[str, Any]()
    doors: dict[str, Callable[[int, int], Body]] = {"protobuf": ProtobufBody, "json": JsonBody}
    for name, make in doors.items():
        if args.only not in (None, name):
            continue
        body = make(args.rows, 0).next(0)
        figures[f"{name}_bytes_per_span"] = round(len(body) / args.rows)
        figures[f"{name}_door_us_per_span"] = round(
            door_us(body, args.rows, plain=name == "json", times=5 if args.quick else 25), 1
        )
        made = partial(_made, make, args.rows)
        if args.via != "grpc":
            measured = asyncio.run(run(made, seconds, args.connections))
            figures |= {f"{name}_{key.replace('event', 'span')}": value for key, value in measured.items()}
        if args.via != "http" and name == "protobuf":
            opened = {"LLM_HUB_OTLP_GRPC": "on", "LLM_HUB_OTLP_GRPC_PORT": "0"}
            measured = asyncio.run(run(made, seconds, args.connections, connect=GrpcConnection, **opened))
            figures |= {f"grpc_{key.replace('event', 'span')}": value for key, value in measured.items()}
    ratios = {}
    if {"protobuf_spans_per_s", "grpc_spans_per_s"} <= figures.keys():
        ratios["grpc_over_http"] = round(figures["grpc_spans_per_s"] / figures["protobuf_spans_per_s"], 3)
    if {"protobuf_spans_per_s", "json_spans_per_s"} <= figures.keys():
        ratios["json_over_protobuf"] = round(figures["json_spans_per_s"] / figures["protobuf_spans_per_s"], 3)
    report("otlp", before, figures, ratios, args.out)


if __name__ == "__main__":
    main()
