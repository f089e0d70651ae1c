"""Checks of the hub's parts, as readiness asks them."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from core.errors import HubError

#: Seconds after which a part that does not answer counts as failed.
PATIENCE: Final = 5.0


class State(Protocol):
    """How a part is."""

    @property
    def ok(self) -> bool:
        """Whether it does its work."""
        ...

    @property
    def state(self) -> str:
        """A word for it."""
        ...

    @property
    def detail(self) -> str:
        """What is wrong, if anything."""
        ...


#: A part's check: quick, or a coroutine; None means that all is well, an error that it is not.
Check = Callable[[], State | Awaitable[State | None] | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    ok: bool
    state: str = "ok"
    detail: str = ""


async def examine(checks: Mapping[str, Check]) -> dict[str, Finding]:
    """Ask every part at the same time; none can hold up the others for longer than :data:`PATIENCE`."""
    found = await asyncio.gather(*(_one(check) for check in checks.values()))
    return dict(zip(checks, found, strict=True))


async def _one(check: Check) -> Finding:
    try:
        result = check()
        state = await asyncio.wait_for(result, PATIENCE) if inspect.isawaitable(result) else result
    except HubError as error:
        return Finding(False, "failed", error.detail)
    except TimeoutError:
        return Finding(False, "failed", "does not answer")
    except Exception as error:
        return Finding(False, "failed", type(error).__name__)
    if state is None:
        return Finding(True)
    return Finding(state.ok, state.state, state.detail)
