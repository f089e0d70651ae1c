"""Checks of a hub that answers: it knows its parts best itself, and its metrics tell how they have been."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from core.errors import HubError
from hub.client import HubClient
from hub.doctor.finding import Finding
from hub.release import release
from hub.target import Running

#: A clock that is told in whole seconds, over a network, may differ by so much.
_SKEW_S: Final = 5.0
_LAG_S: Final = 120.0
_FULL: Final = 0.8

#: Series (of all labels) → sum.
Page = Mapping[str, float]


def examine(target: Running) -> list[Finding]:
    """What a running hub says of itself."""
    with HubClient(target) as hub:
        ready = hub.get_whatever("/health/ready")
        _, date = hub.text("/health/live")
        page, _ = hub.text("/metrics")
        asked = _asked(hub)
    status = str(ready.get("status", "unknown"))
    findings = [Finding("hub", status == "ok", f"{target.url} is {status}")]
    for name, state in ready.get("checks", {}).items():
        text = state.get("detail") or state.get("state") or state.get("status", "")
        findings.append(Finding(name, state.get("status") == "ok", text))
    return [*findings, *asked, _clock(date), *_measured(page)]


def _asked(hub: HubClient) -> list[Finding]:
    """Whether a question is answered, where that is the role's work; raises when the key is wrong."""
    try:
        hub.post("/v1/query", {"measures": ["events"], "time": {"from": "now-1h", "to": "now"}})
    except HubError as error:
        if error.detail.startswith(("401", "403")):
            raise
        text = f"{error.detail}: see the log of the hub, and its warehouse"
        return [] if error.detail.startswith("404") else [Finding("questions", False, text)]
    return [Finding("questions", True, "answered")]


def _clock(date: str) -> Finding:
    """Our clock and the hub's."""
    try:
        skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    except ValueError:
        return Finding("clock", True, "the hub does not tell its time")
    text = f"{max(0.0, skew - 1):.0f} s off the hub's"
    return Finding("clock", skew <= _SKEW_S, text if skew <= _SKEW_S else f"{text}: have both follow a time server")


def _measured(text: str) -> Iterator[Finding]:
    """What the metrics tell."""
    families = list(text_string_to_metric_families(text))
    page: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            page[sample.name] = page.get(sample.name, 0.0) + sample.value
    worst = {family.name: max((one.value for one in family.samples), default=0.0) for family in families}
    versions = {one.labels["version"] for family in families for one in family.samples if family.name == "llm_hub_info"}
    if versions and versions != {release()}:
        yield Finding("release", True, f"the hub is {', '.join(sorted(versions))}, this command {release()}")
    for part, check in _CHECKS.items():
        if (finding := check(part, page, worst)) is not None:
            yield finding


def _lag(part: str, page: Page, worst: Page) -> Finding | None:
    if "llm_hub_streams_lag_records" not in page:
        return None
    waiting, seconds = page["llm_hub_streams_lag_records"], worst["llm_hub_streams_lag_seconds"]
    text = f"{waiting:.0f} records wait to be stored"
    if waiting and seconds > _LAG_S:
        return Finding(part, False, f"{text}, for up to {seconds:.0f} s: add workers, or see why they are slow")
    return Finding(part, True, text)


def _dead_letters(part: str, page: Page, _: Page) -> Finding | None:
    rows, records = page.get("llm_hub_ingest_dead_letters_total", 0.0), page.get("llm_hub_streams_poison_total", 0.0)
    good = rows + page.get("llm_hub_ingest_accepted_total", 0.0)
    text = f"{rows:.0f} rows from doors and {records:.0f} records from streams since the start"
    if records or (rows > 100 and rows > 0.05 * good):
        return Finding(part, False, f"{text}: llm_hub_ingest_rejected_total and llm_hub_streams_poison_total say where")
    return Finding(part, True, text)


def _files(part: str, page: Page, _: Page) -> Finding | None:
    most = page.get("process_max_fds", 0.0)
    if not most:
        return None
    share = page["process_open_fds"] / most
    text = f"{page['process_open_fds']:.0f} of {most:.0f} open"
    return Finding(part, share < _FULL, text if share < _FULL else f"{text}: raise the limit (`ulimit -n 4096`)")


def _queues(part: str, page: Page, _: Page) -> Finding | None:
    full = [
        name.removeprefix("llm_hub_")
        for name, limit in _QUEUES.items()
        if page.get(limit) and page.get(name, 0.0) / page[limit] >= _FULL
    ]
    if full:
        return Finding(part, False, f"nearly full: {', '.join(full)}; docs/runbook.md says what to do about each")
    return Finding(part, True, "have room")


_QUEUES: Final = {
    "llm_hub_ingest_in_flight_bytes": "llm_hub_ingest_in_flight_limit_bytes",
    "llm_hub_log_queued_bytes": "llm_hub_log_queue_limit_bytes",
    "llm_hub_streams_buffer_bytes": "llm_hub_streams_buffer_limit_bytes",
    "llm_hub_query_open": "llm_hub_query_open_limit",
}
_CHECKS: Final[Mapping[str, Callable[[str, Page, Page], Finding | None]]] = {
    "lag": _lag,
    "dead letters": _dead_letters,
    "files": _files,
    "queues": _queues,
}
