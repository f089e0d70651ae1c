"""Puts a backup into an empty hub: all of it, or nothing that a hub would start on.

Each step may be repeated: rows of the warehouse carry tokens by which the engine drops what it has, records are
appended from where the log ends, and the metadata comes last, in one transaction. Until then the hub is marked as half
restored: no hub starts on it, and the same backup may be restored again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, func, insert, select

from broker.log import Log, NewRecord
from broker.topics import DEAD_LETTERS, EVENTS
from core.errors import Conflict, HubError, NotFound, Poison
from hub import wiring
from hub.backup import blocks, rows, secrets
from hub.backup.archive import Checked, members, verify
from hub.backup.making import Stores
from hub.backup.opening import RESTORE
from ingest.encode import event_records
from storage.metadata.engine import make_sync_engine
from storage.metadata.jobs import Jobs
from storage.metadata.models import Job, JournalBlock, Tenant, User
from storage.warehouse.migrations import migrate
from storage.warehouse.retention import TENANT_TABLES
from storage.warehouse.roller import Roller
from storage.warehouse.rollups import LANE_BITS
from streams.steps.decode import decode_record

JOB: Final = RESTORE
#: Rows that leave so soon are not counted: they may be gone before they are.
_SOON: Final = timedelta(hours=1)

Progress = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back."""

    events: int
    tenants: int
    waiting: int
    made_at: str


class Restorer:
    """Restores one backup.

    Parameters
    ----------
    stores
        Of the hub to be; open, but neither migrated nor started.
    path
        The backup.
    checking, progress
        Told how far the check, and the restore, is.
    """

    def __init__(self, stores: Stores, path: Path, checking: Progress, progress: Progress) -> None:
        self._stores, self._path = stores, path
        self._checking, self._progress = checking, progress
        self._partitions = 0
        self._alive = int((stores.clock.now() + _SOON).timestamp())

    async def run(self) -> Restored:
        """Do it.

        Raises
        ------
        BadRequest
            The file is no whole backup; nothing was written.
        Conflict
            The hub is not empty; nothing was written.
        HubError
            What arrived is not what the backup says.
        """
        checked = await asyncio.to_thread(verify, self._path, self._checking)
        self._partitions = int(checked.header["partitions"])
        keys = await asyncio.to_thread(self._keys)
        await self._admit(checked)
        await asyncio.to_thread(secrets.put_back, keys, self._stores.settings.folder)
        await asyncio.to_thread(self._warehouse, str(checked.header["id"]))
        stored, waiting = await self._log()
        await asyncio.to_thread(self._metadata, stored, str(checked.header["id"]))
        await self._stores.metadata.migrate()
        totals = checked.manifest["totals"]
        self._progress(totals["events"]["rows"], 1.0)
        tenants = totals["metadata/tenants"]["rows"]
        return Restored(totals["events"]["rows"], tenants, waiting, str(checked.header["made_at"]))

    def _keys(self) -> dict[str, bytes]:
        (found,) = [body for _, body, _ in members(self._path, secrets.MEMBER)]
        return secrets.opened(found, self._stores.settings)

    async def _admit(self, checked: Checked) -> None:
        """Make the tables, and go on only where nothing is in them, or half of this very backup."""
        stores, header = self._stores, checked.header
        if await stores.metadata.current() is None:
            await stores.metadata.migrate(str(header["metadata"]))
        await asyncio.to_thread(migrate, stores.warehouse)
        for topic in wiring.topics(stores.settings):
            await stores.log.create_topic(topic)
        jobs = Jobs(stores.metadata, stores.clock)
        begun = await jobs.get(JOB)
        if begun is None:
            await self._empty()
            await jobs.put(JOB, {"id": header["id"], "made_at": header["made_at"]})
        elif begun["id"] != header["id"]:
            raise Conflict(
                f"Another backup, made at {begun['made_at']}, is half restored here: restore that one again to its "
                "end, or take an empty hub."
            )

    async def _empty(self) -> None:
        stores = self._stores
        for table in TENANT_TABLES:
            text = f"SELECT count() FROM {table}"  # noqa: S608 - the hub's own names
            if found := (await asyncio.to_thread(stores.warehouse.query, text)).scalar():
                raise _not_empty(f"its table {table} has {found} rows")
        for topic in (EVENTS, DEAD_LETTERS):
            for number in range(stores.log.partitions(topic)):
                if (await stores.log.range(topic, number))[1]:
                    raise _not_empty(f"its log has records in {topic}")
        async with stores.metadata.reading() as session:
            tenants = await session.scalar(select(func.count()).select_from(Tenant).where(Tenant.id != "default"))
            users = await session.scalar(select(func.count()).select_from(User))
        if tenants or users:
            raise _not_empty(f"it has {tenants} tenants and {users} users")

    def _warehouse(self, name: str) -> None:
        """All rows with their positions; then the rollups are brought up to them, whatever partition they are of."""
        warehouse = self._stores.warehouse
        totals = {table: blocks.Totals() for table in TENANT_TABLES}
        count = 0
        for member, body, share in members(self._path, *(f"{table}/" for table in TENANT_TABLES)):
            table = member.split("/", 1)[0]
            part = blocks.unpacked(body)
            warehouse.insert(table, part, f"restore/{name}/{member}")
            totals[table].add(blocks.lasting(table, part, self._alive))
            count += part.num_rows if table == "events" else 0
            self._progress(count, 0.9 * share)
        for table, wanted in totals.items():
            self._compare(table, wanted)
        text = "SELECT DISTINCT intDiv(position, {lane:UInt64}) FROM events"
        roller = Roller(warehouse, self._stores.clock)
        for (lane,) in warehouse.query(text, {"lane": 1 << LANE_BITS}).rows:
            roller.resume(int(lane), complete=True)
        roller.roll()

    def _compare(self, table: str, wanted: blocks.Totals) -> None:
        text = blocks.totals_sql(table, blocks.lasting_sql(table))
        found = self._stores.warehouse.query(text, {"moment": self._alive}).rows[0]
        names = ("rows", *blocks.SUMS)
        told = dict(zip(names, (wanted.rows, *wanted.sums.values()), strict=True))
        for name, value in zip(names, found, strict=False):
            if value != told[name]:
                raise HubError(
                    f"{table} has {value} {name} where the backup has {told[name]}: restore it again into an empty hub."
                )

    async def _log(self) -> tuple[dict[int, int], int]:
        """Append what the log is to hold, behind what an earlier attempt has; partition → offset of the last record
        whose events are stored, and how many records wait."""
        log = self._stores.log
        there = {number: (await log.range(EVENTS, number))[1] for number in range(log.partitions(EVENTS))}
        ends, stored, waiting = dict.fromkeys(there, 0), dict.fromkeys(there, -1), 0
        for kind in ("stored", "waiting"):
            for records in self._events(kind, len(there)):
                new = []
                for record in records:
                    if ends[record.partition] >= there[record.partition]:
                        new.append(record)
                    ends[record.partition] += 1
                    if kind == "stored":
                        stored[record.partition] = ends[record.partition] - 1
                waiting += len(records) if kind == "waiting" else 0
                await _append(log, new)
        await self._dead_letters()
        for _, body, _ in members(self._path, "marks/"):
            marks = [one for one in blocks.marks_of(blocks.unpacked(body)) if await log.lookup_mark(one.key) is None]
            await log.append([], [one for one in marks if one.expires_at > self._stores.clock.now()])
        return stored, waiting

    def _events(self, kind: str, partitions: int) -> Iterator[list[NewRecord]]:
        """Records of events for a log of so many partitions, in an order that is always the same."""
        for member, body, _ in members(self._path, f"log/{EVENTS}/"):
            _, _, number, its_kind, _ = member.split("/")
            if its_kind != kind:
                continue
            found = blocks.new_records(blocks.unpacked(body), EVENTS, int(number) % partitions, dated=False)
            records = [record for record, _ in found]
            if self._partitions != partitions:
                records = [one for record in records for one in _spread(record, partitions)]
            yield records

    async def _dead_letters(self) -> None:
        log = self._stores.log
        _, there = await log.range(DEAD_LETTERS, 0)
        for _, body, _ in members(self._path, f"log/{DEAD_LETTERS}/"):
            found = blocks.new_records(blocks.unpacked(body), DEAD_LETTERS, 0, dated=True)
            records = [record for record, _ in found]
            await _append(log, records[there:])
            there = max(0, there - len(records))

    def _metadata(self, stored: dict[int, int], name: str) -> None:
        """Everything at once: with this the restore is done."""
        engine = make_sync_engine(self._stores.settings.database_url)
        tables = {table.name: table for table in rows.tables()}
        try:
            with engine.begin() as connection:
                for table in reversed(tables.values()):
                    connection.execute(delete(table))
                for member, body, _ in members(self._path, "metadata/"):
                    table_name = member.split("/")[1]
                    if table_name not in tables:
                        raise NotFound(f"The backup has a table {table_name} that this hub does not know.")
                    rows.insert(connection, tables[table_name], body)
                connection.execute(delete(JournalBlock))
                connection.execute(insert(JournalBlock), [self._done(*place, name) for place in stored.items()])
                connection.execute(delete(Job).where(Job.name == JOB))
        finally:
            engine.dispose()

    def _done(self, number: int, last: int, name: str) -> dict[str, Any]:
        """What the journal would say had this hub stored the events itself."""
        first = number << LANE_BITS
        text = "SELECT max(position) FROM events WHERE position >= {low:UInt64} AND position < {high:UInt64}"
        position = self._stores.warehouse.query(text, {"low": first, "high": first + (1 << LANE_BITS)}).scalar()
        return {
            "consumer_group": wiring.GROUP,
            "topic": EVENTS,
            "partition_number": number,
            "first_offset": last,
            "last_offset": last,
            "token": f"restore/{name}",
            "state": "done",
            "created_at": self._stores.clock.now(),
            "position": max(first, int(position)),
        }


def _not_empty(what: str) -> Conflict:
    return Conflict(f"A backup is restored into an empty hub only, and {what}: name another --data-dir, or other URLs.")


def _spread(record: NewRecord, partitions: int) -> list[NewRecord]:
    """The events of a record, to the partitions where they would be sent now; what is no events stays as it is."""
    try:
        return event_records([decode_record(record.value)], partitions)
    except Poison:
        return [record]


async def _append(log: Log, records: Sequence[NewRecord]) -> None:
    if records:
        await log.append(records)
