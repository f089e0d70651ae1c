"""The static files, read once into memory: a name that is not in the table does not exist.

Every file has a strong ETag of its content. The whole tree has one ``version``; below ``/static/<version>/`` files
never change and may be kept for ever, and relative imports between modules stay below the same version.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parent / "static"

#: What is served, by ending. Anything else in the folder stays private.
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
        ".json": "application/json",
        ".txt": "text/plain; charset=utf-8",
    }
)

#: Compressed already: a second pass costs time and saves nothing.
COMPRESSED = frozenset({".woff2"})


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes over the wire.

    Attributes
    ----------
    name
        Path below ``static/``, with forward slashes.
    media_type
        The ``Content-Type``.
    content, gzipped
        The bytes, and the same compressed (``None`` where that does not pay).
    etag
        Strong validator, in quotes.
    """

    name: str
    media_type: str
    content: bytes
    gzipped: bytes | None
    etag: str


class Assets:
    """All files below a folder.

    Parameters
    ----------
    files
        Path below the folder → asset.
    """

    def __init__(self, files: Mapping[str, Asset]) -> None:
        self._files = MappingProxyType(dict(files))
        digest = hashlib.sha256()
        for name in sorted(self._files):
            digest.update(f"{name}={self._files[name].etag}\n".encode())
        self.version = digest.hexdigest()[:12]

    @classmethod
    def read(cls, root: Path = ROOT) -> "Assets":
        """Read every file of a known type below ``root``."""
        return cls({asset.name: asset for asset in _walk(root)})

    def get(self, name: str) -> Asset | None:
        """The asset of exactly this name, with or without the version before it."""
        version, _, rest = name.partition("/")
        return self._files.get(rest if version == self.version else name)

    def names(self, suffix: str) -> list[str]:
        """Names that end so, sorted."""
        return sorted(name for name in self._files if name.endswith(suffix))


def _walk(root: Path) -> Iterator[Asset]:
    for path in sorted(root.rglob("*")):
        media_type = MEDIA_TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        content = path.read_bytes()
        small = None if path.suffix in COMPRESSED else gzip.compress(content, 9, mtime=0)
        yield Asset(
            name=path.relative_to(root).as_posix(),
            media_type=media_type,
            content=content,
            gzipped=small,
            etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        )
