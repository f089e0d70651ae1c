"""Everything that is asked of the metadata is asked of SQLite and of a real PostgreSQL."""

from pathlib import Path

import pytest

from tests.servers.postgres import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that has nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/hub.db"
    return new_database(request.getfixturevalue("postgres"))
