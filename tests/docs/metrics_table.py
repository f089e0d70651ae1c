"""The page of metrics, made from the metrics: ``python -m tests.docs.metrics_table > docs/metrics.md``."""

from core.metrics import LABELS, Metrics, exposed

HEAD = """# Metrics

`GET /metrics` of every process of the hub, for Prometheus; open on loopback, elsewhere with a key that has the scope
`query`. Of a histogram there are `_bucket`, `_sum` and `_count`. Dashboards and rules over them are in
`deploy/grafana` and `deploy/prometheus`, what to do when a rule fires is in [runbook.md](runbook.md).
Made by `python -m tests.docs.metrics_table`; a test fails when it is out of date.

| metric | type | labels | |
|---|---|---|---|
"""
LABELS_HEAD = """
## Labels

| label | values |
|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.text} |\n"
        for one in exposed(Metrics())
    ]
    labels = [f"| `{name}` | {values} |\n" for name, values in LABELS.items()]
    return HEAD + "".join(rows) + LABELS_HEAD + "".join(labels)


if __name__ == "__main__":
    print(page(), end="")
