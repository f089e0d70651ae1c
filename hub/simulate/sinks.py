"""Where the events of a tenant go: a file, or a door of a hub."""

import asyncio
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol, Self, cast

import zstandard

from hub.sender import HubSender, Totals
from hub.simulate.config import Event
from hub.simulate.encode import to_ndjson
from hub.simulate.via import Speech


class Sink(Protocol):
    """Takes the events of one tenant, in order; an asynchronous context manager that closes when all of them are in."""

    totals: Totals

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def take(self, events: Sequence[Event]) -> None:
        """Hand events over; returns when there is room for more.

        Raises
        ------
        HubError
            The hub refused some before.
        """
        ...


class FileSink:
    """A file of NDJSON, compressed by its suffix."""

    def __init__(self, path: Path) -> None:
        self.totals = Totals()
        self._path = path
        self._file: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._file = await asyncio.to_thread(open_for_writing, self._path)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._file:
            await asyncio.to_thread(self._file.close)

    async def take(self, events: Sequence[Event]) -> None:
        """See :class:`Sink`."""
        await asyncio.to_thread(self._write, events)
        self.totals.accepted += len(events)
        self.totals.batches += 1

    def _write(self, events: Sequence[Event]) -> None:
        if self._file:
            self._file.write(to_ndjson(events))


def open_for_writing(path: Path) -> IO[bytes]:
    """A binary file that compresses by its suffix (``.gz``, ``.zst``); the same content gives the same bytes."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(path, "wb", mtime=0))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstandard.open(path, "wb"))
    return path.open("wb")


class DoorSink:
    """Requests to a door of a hub.

    Parameters
    ----------
    sender
        Posts them; not yet entered.
    speak
        Makes them of the events.
    """

    def __init__(self, sender: HubSender, speak: Speech) -> None:
        self.totals = sender.totals
        self._sender = sender
        self._speak = speak

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._sender.__aexit__(*error)

    async def take(self, events: Sequence[Event]) -> None:
        """See :class:`Sink`."""
        # Encoding a batch takes some tenths of a second: not in the way of a hub that shares this loop.
        for body in await asyncio.to_thread(self._speak, events):
            await self._sender.submit(body.content, path=body.path, content_type=body.content_type, items=body.items)
