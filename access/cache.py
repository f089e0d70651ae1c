"""Who was authenticated a moment ago: bounded, short-lived, and forgotten at once when revoked."""

from collections import OrderedDict
from dataclasses import dataclass

from access.principal import Principal
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """Sizes and seconds to live, of good credentials and of bad ones."""

    size: int = 10_000
    ttl: float = 30.0
    negative_size: int = 10_000
    negative_ttl: float = 5.0


class PrincipalCache:
    """Maps hashes of credentials to principals, or to the reason why they were refused.

    Belongs to the event loop. ``generation`` changes with every :meth:`forget`: who has loaded a principal while
    it changed must not :meth:`keep` it, or a key revoked during the load would live on.
    """

    def __init__(self, clock: Clock, config: CacheConfig) -> None:
        self._clock = clock
        self._config = config
        self._good: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._bad: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._good) + len(self._bad)

    def get(self, name: bytes) -> Principal | str | None:
        """The principal, the reason of a refusal, or ``None`` when nothing is known (any more)."""
        now = self._clock.monotonic()
        good = self._good.get(name)
        if good is not None and now < good[1]:
            return good[0]
        bad = self._bad.get(name)
        return bad[0] if bad is not None and now < bad[1] else None

    def keep(self, name: bytes, principal: Principal, generation: int) -> None:
        """Remember a principal that was loaded at ``generation``."""
        if generation == self.generation:
            self._good[name] = (principal, self._clock.monotonic() + self._config.ttl)
            _trim(self._good, name, self._config.size)

    def refuse(self, name: bytes, reason: str) -> None:
        """Remember a refusal, for a shorter while and apart: a flood of bad keys pushes no good one out."""
        self._bad[name] = (reason, self._clock.monotonic() + self._config.negative_ttl)
        _trim(self._bad, name, self._config.negative_size)

    def forget(self, key_id: str) -> None:
        """Forget a key or user, whatever credentials it came by."""
        self.generation += 1
        for name in [name for name, (principal, _) in self._good.items() if principal.key_id == key_id]:
            del self._good[name]

    def clear(self) -> None:
        """Forget everybody."""
        self.generation += 1
        self._good.clear()
        self._bad.clear()


def _trim(
    entries: OrderedDict[bytes, tuple[Principal, float]] | OrderedDict[bytes, tuple[str, float]], name: bytes, size: int
) -> None:
    entries.move_to_end(name)
    while len(entries) > size:
        entries.popitem(last=False)
