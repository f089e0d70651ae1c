"""The log in JSON: one line a record, valid whatever is logged, by whomever."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.common import ROOT
from core.traces import TENANT, TRACE_ID
from hub.logs import JsonFormatter


def record(message: Any, *args: Any, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("some.where", logging.WARNING, __file__, 1, message, args, more.get("exc_info"))


@pytest.mark.parametrize(
    ("message", "args", "told"),
    [
        ("plain", (), "plain"),
        ("two\nlines %s", ('"quoted"',), 'two\nlines "quoted"'),
        ("half a pair %s", ("\ud800",), "half a pair \ud800"),
        ("\x1b[31mred\x00", (), "\x1b[31mred\x00"),
        ("%d is no number", ("this",), "%d is no number ('this',)"),
        ({"an": "object"}, (), "{'an': 'object'}"),
    ],
)
def test_any_message_is_one_line_of_json(message: Any, args: tuple[Any, ...], told: str) -> None:
    line = JsonFormatter("streams").format(record(message, *args))
    assert "\n" not in line
    assert json.loads(line)["message"] == told
    assert {"time", "level", "logger", "role"} < set(json.loads(line))
    assert json.loads(line)["role"] == "streams"


def test_what_is_known_of_the_work_in_hand_is_told() -> None:
    entry = json.loads(JsonFormatter().format(record("alone")))
    assert not {"trace_id", "tenant", "exception", "stack"} & set(entry)
    number, tenant = TRACE_ID.set("4bf92f3577b34da6a3ce929d0e0e4736"), TENANT.set("acme")
    try:
        entry = json.loads(JsonFormatter("api").format(record("within")))
    finally:
        TRACE_ID.reset(number)
        TENANT.reset(tenant)
    assert (entry["trace_id"], entry["tenant"], entry["role"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "acme", "api")


CODE = """
import gc, logging, sys, threading, warnings
from hub.logs import configure
configure("info", "json", "streams")
for name in ("uvicorn.error", "faust.app", "mode.services", "aiokafka", "llm_hub"):
    try:
        raise ValueError("two\\nlines")
    except ValueError:
        logging.getLogger(name).exception("from %s", name)
logging.getLogger("llm_hub").warning("with a stack", stack_info=True)
warnings.warn("beware", RuntimeWarning)
worker = threading.Thread(target=lambda: 1 / 0, name="worker")
worker.start(); worker.join()
class Dying:
    def __del__(self): raise KeyError("at the end")
thing = Dying(); del thing; gc.collect()
raise SystemError("nobody catches this")
"""


def test_every_line_of_a_process_is_json() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert [line["logger"] for line in lines[:5]] == [
        "uvicorn.error",
        "faust.app",
        "mode.services",
        "aiokafka",
        "llm_hub",
    ]
    assert all(line["exception"].endswith("ValueError: two\nlines") for line in lines[:5])
    assert "File" in lines[5]["stack"]
    assert [(line["logger"], line["level"]) for line in lines[6:]] == [
        ("py.warnings", "warning"),
        ("llm_hub", "error"),
        ("llm_hub", "error"),
        ("llm_hub", "critical"),
    ]
    assert lines[7]["message"] == "worker ends: ZeroDivisionError"
    assert "KeyError" in lines[8]["exception"]
    assert lines[9]["exception"].endswith("SystemError: nobody catches this")
