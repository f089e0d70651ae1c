"""The file of the embedded log: its tables, how it is opened, and how ids are made.

The row id of a record is ``partition id << 40 | offset``: a partition is one range of the table's own tree, so that
appending and reading in order touch neighbouring pages and need no second index. The next offset of a partition is
one above its newest record, which is why retention and compaction never take the newest record away.
"""

import sqlite3
from pathlib import Path

from broker.embedded.config import SqliteLogConfig
from broker.embedded.trouble import opening_error
from core.errors import SettingsError

APPLICATION_ID = 0x6C6C6D68  # "llmh"
FORMAT = 1
OFFSET_BITS = 40
OFFSET_MASK = (1 << OFFSET_BITS) - 1

_TABLES = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_s REAL, retention_bytes INTEGER,
    compacted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL REFERENCES topics(name), partition INTEGER NOT NULL,
    counted_to INTEGER NOT NULL DEFAULT 0, counted_bytes INTEGER NOT NULL DEFAULT 0,
    compacted_to INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition));
CREATE TABLE records (
    id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key BLOB, headers BLOB, value BLOB);
CREATE INDEX records_by_time ON records (id >> 40, timestamp_ms);
CREATE TABLE commits (
    consumer_group TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition)) WITHOUT ROWID;
CREATE TABLE marks (
    key BLOB PRIMARY KEY, body_hash BLOB NOT NULL, rows INTEGER NOT NULL, answer BLOB NOT NULL,
    expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX marks_by_expiry ON marks (expires_ms);
"""


def row_id(partition_id: int, offset: int) -> int:
    """The row of a record.

    Examples
    --------
    >>> row_id(2, 7) == (2 << 40) + 7
    True
    """
    return partition_id << OFFSET_BITS | offset


def connect(path: Path, config: SqliteLogConfig) -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=config.busy_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def connect_writer(path: Path, config: SqliteLogConfig) -> sqlite3.Connection:
    """A connection that writes to a file that is there: every commit is on the disk before it returns."""
    connection = connect(path, config)
    _set_up_writer(connection, config)
    return connection


def _set_up_writer(connection: sqlite3.Connection, config: SqliteLogConfig) -> None:
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, config.checkpoint_bytes // page)}")
    connection.execute(f"PRAGMA journal_size_limit = {config.checkpoint_bytes}")
    if config.max_file_bytes is not None:
        connection.execute(f"PRAGMA max_page_count = {max(1, config.max_file_bytes // page)}")


def open_file(path: Path, config: SqliteLogConfig) -> sqlite3.Connection:
    """Open the file for writing, creating it where missing.

    Raises
    ------
    SettingsError
        The file is damaged, is no log, or was written by a newer hub.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path, config)
        _prepare(connection, path, config)
        _set_up_writer(connection, config)
    except (sqlite3.Error, SettingsError) as error:
        if connection is not None:
            connection.close()
        raise opening_error(error, path) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, config: SqliteLogConfig) -> None:
    if _is_empty(connection):
        _create(connection, config)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise SettingsError(f"{path} is a SQLite file, but no log of the hub; choose another path.")
    if version > FORMAT:
        raise SettingsError(f"{path} was written by a newer version of the hub; update this one.")
    connection.execute("SELECT max(id) FROM records").fetchone()


def _is_empty(connection: sqlite3.Connection) -> bool:
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(objects == 0)


def _create(connection: sqlite3.Connection, config: SqliteLogConfig) -> None:
    connection.execute(f"PRAGMA page_size = {config.page_bytes}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):  # another process may have been quicker
        _create_tables(connection)
    connection.execute("COMMIT")


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _TABLES.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
