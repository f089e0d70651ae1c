"""The page of settings tells every setting as it is."""

from tests.docs.settings_table import page
from tests.docs.test_guides import DOCS


def test_page_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text() == page()
