"""The file of a backup: a tar of small members, the last of which says what all the others must be.

Members come in the order in which they are made, each held in memory once. Whatever is cut off, turned over or put in
is noticed: ``manifest.json`` has the SHA-256 of every member before it, and ``manifest.sha256`` its own.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from core.errors import BadRequest

FORMAT: Final = "llm-hub-backup"
VERSION: Final = 1
HEADER, MANIFEST, SEAL = "header.json", "manifest.json", "manifest.sha256"

#: No member of a sane backup is larger: what claims to be is refused before it takes the memory.
_MOST_BYTES: Final = 1 << 30


@dataclass(slots=True)
class Writing:
    """Gives the bytes of a backup, member by member, and remembers what they were."""

    members: dict[str, dict[str, Any]] = field(default_factory=dict)

    def member(self, name: str, body: bytes, rows: int = 0) -> bytes:
        """The bytes of one more member."""
        self.members[name] = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "rows": rows}
        return _framed(name, body)

    def end(self, totals: dict[str, Any]) -> bytes:
        """The manifest, and the end of the file."""
        manifest = orjson.dumps({"members": self.members, "totals": totals}, option=orjson.OPT_INDENT_2)
        seal = hashlib.sha256(manifest).hexdigest().encode() + b"\n"
        return _framed(MANIFEST, manifest) + _framed(SEAL, seal) + bytes(2 * tarfile.BLOCKSIZE)


def _framed(name: str, body: bytes) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(body), 0o600
    return entry.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that is whole: its first member, its last, and its size."""

    header: dict[str, Any]
    manifest: dict[str, Any]
    size: int


def verify(path: Path, progress: Callable[[int, float], None] = lambda *_: None) -> Checked:
    """Read a backup from end to end.

    Raises
    ------
    BadRequest
        It is none, was cut off, or is not what was written; says which member.
    """
    size = path.stat().st_size
    found: dict[str, str] = {}
    header: dict[str, Any] = {}
    manifest = seal = b""
    try:
        for name, body, place in _members(path):
            if not found and name != HEADER:
                break
            if name == HEADER:
                header = _header(body)
            if name == SEAL:
                seal = body.strip()
            elif name == MANIFEST:
                manifest = body
            else:
                found[name] = hashlib.sha256(body).hexdigest()
            progress(len(found), place / max(1, size))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadRequest(f"{path} is no whole backup: {error}. Take another one.") from error
    if not header:
        raise BadRequest(f"{path} is no backup of the hub.")
    if not manifest or hashlib.sha256(manifest).hexdigest().encode() != seal:
        raise BadRequest(f"{path} was cut off, or its manifest was changed. Take another one.")
    told = orjson.loads(manifest)
    wanted = {name: member["sha256"] for name, member in told["members"].items()}
    if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise BadRequest(f"{path}: {wrong[0]} is not what was written ({len(wrong)} members in all). Take another one.")
    progress(len(found), 1.0)
    return Checked(header, told, size)


def _header(body: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = orjson.loads(body)
        known = header["format"] == FORMAT
        version = int(header["version"])
    except (ValueError, KeyError, TypeError):
        return {}
    if not known:
        return {}
    if version > VERSION:
        raise BadRequest(
            f"The backup has format {version}, this hub reads up to {VERSION}: restore it with a newer hub."
        )
    return header


def members(path: Path, *prefixes: str) -> Iterator[tuple[str, bytes, float]]:
    """Members whose names begin with one of these, in order: name, content, and the share of the file before them."""
    size = max(1, path.stat().st_size)
    for name, body, place in _members(path):
        if name.startswith(prefixes):
            yield name, body, place / size


def _members(path: Path) -> Iterator[tuple[str, bytes, int]]:
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for entry in archive:
            if not entry.isfile() or entry.size > _MOST_BYTES:
                raise tarfile.TarError(f"{entry.name} is no member of a backup")
            content: BinaryIO | None = archive.extractfile(entry)  # type: ignore[assignment]
            body = content.read() if content is not None else b""
            if len(body) != entry.size:
                raise tarfile.TarError(f"{entry.name} is cut off")
            yield entry.name, body, entry.offset_data
