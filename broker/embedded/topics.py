"""Creating topics, and changing what may be changed of them."""

from collections.abc import Callable

from broker.embedded.transaction import Transaction
from broker.log import TopicConfig
from core.errors import SettingsError


def create_topic(config: TopicConfig) -> Callable[[Transaction], None]:
    """Work for the writer: create a topic, or renew its retention."""
    if config.partitions < 1:
        raise SettingsError(f"Topic {config.name!r} needs at least one partition.")

    def work(transaction: Transaction) -> None:
        # Asked of the file, not of the catalogue: the same group may have created it a moment ago.
        row = transaction.connection.execute("SELECT partitions FROM topics WHERE name = ?", (config.name,)).fetchone()
        if row is None:
            _insert_topic(transaction, config)
        elif row[0] != config.partitions:
            raise SettingsError(
                f"Topic {config.name!r} has {row[0]} partitions and cannot get {config.partitions}: "
                "the number is fixed when a hub is created."
            )
        else:
            _update_topic(transaction, config)

    return work


def _insert_topic(transaction: Transaction, config: TopicConfig) -> None:
    transaction.connection.execute(
        "INSERT INTO topics VALUES (?, ?, ?, ?, ?)",
        (config.name, config.partitions, config.retention_s, config.retention_bytes, config.compacted),
    )
    transaction.connection.executemany(
        "INSERT INTO partitions (topic, partition) VALUES (?, ?)",
        [(config.name, number) for number in range(config.partitions)],
    )
    transaction.reload = True


def _update_topic(transaction: Transaction, config: TopicConfig) -> None:
    transaction.connection.execute(
        "UPDATE topics SET retention_s = ?, retention_bytes = ? WHERE name = ?",
        (config.retention_s, config.retention_bytes, config.name),
    )
    transaction.reload = True
