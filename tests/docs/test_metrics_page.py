"""The page of metrics tells every metric as it is."""

from tests.docs.metrics_table import page
from tests.docs.test_guides import DOCS


def test_page_is_up_to_date() -> None:
    assert (DOCS / "metrics.md").read_text() == page()
