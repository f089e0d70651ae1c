"""What every test shares: real data where it is, and no silent skip in CI."""

import os
from pathlib import Path

import pytest

from tests.servers.clickhouse import clickhouse_front
from tests.servers.kafka import kafka
from tests.servers.postgres import postgres

__all__ = ["clickhouse_front", "kafka", "postgres"]  # fixtures for every test

ROOT = Path(__file__).resolve().parent.parent
STRICT = os.environ.get("LLM_HUB_TEST_STRICT") == "1"
#: Hubs that tests start would take each other's port; those that want the door say so.
os.environ.setdefault("LLM_HUB_OTLP_GRPC", "off")
#: What nothing that CI installs can bring: a ClickHouse server of its own, and the right to mount a file system.
_MAY_SKIP = ("LLM_HUB_TEST_CLICKHOUSE", "may not mount")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a skip is a failure: what a test needs is to be installed there."""
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(name in reason for name in _MAY_SKIP):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} skipped in CI: {reason}"
    return report


@pytest.fixture(scope="session")
def bench_data() -> Path:
    """The folder of real data sets, or a skip that says where it is looked for."""
    folder = Path(os.environ.get("LLM_HUB_BENCH_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set LLM_HUB_BENCH_DATA")
    return folder
