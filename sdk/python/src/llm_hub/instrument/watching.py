"""The iterator inside a stream of a client, watched; the stream keeps its own class."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol


class Watcher(Protocol):
    """Is told what a stream brings; raises nothing."""

    def saw(self, item: Any) -> bool:
        """Take note of a piece; whether the host is to see it."""
        ...

    def failed(self, error: BaseException) -> None:
        """The stream raised."""
        ...

    def ended(self) -> None:
        """There is no more to come; may be said more than once."""
        ...


class _Watched:
    """What both kinds share."""

    def __init__(self, inner: Any, watcher: Watcher) -> None:
        self._inner = inner
        self._watcher = watcher

    def _over(self, error: BaseException) -> None:
        if isinstance(error, StopIteration | StopAsyncIteration):
            self._watcher.ended()
        else:
            self._watcher.failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        """The host has let go of it, perhaps in the middle."""
        self._watcher.ended()


class Watched(_Watched):
    """Of a stream that is read at once."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                item = next(self._inner)
            except BaseException as error:
                self._over(error)
                raise
            if self._watcher.saw(item):
                return item


class WatchedAsync(_Watched):
    """Of a stream that is awaited."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                item = await anext(self._inner)
            except BaseException as error:
                self._over(error)
                raise
            if self._watcher.saw(item):
                return item
