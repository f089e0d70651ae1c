"""What a check finds, and how trouble becomes a sentence."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from core.errors import HubError
from hub.settings import Settings

#: Says how a part is; raises :class:`core.errors.HubError` with what is wrong and what to do.
Check = Callable[[Settings], Awaitable[str]]

#: Seconds after which a store that does not answer is in trouble.
PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    part: str
    good: bool
    text: str


async def found(part: str, check: Check, settings: Settings) -> Finding:
    """The finding of a check, however it ends."""
    try:
        return Finding(part, True, await asyncio.wait_for(check(settings), PATIENCE))
    except HubError as error:
        return Finding(part, False, error.detail)
    except TimeoutError:
        return Finding(part, False, f"does not answer within {PATIENCE:.0f} s: see that it runs and can be reached")
    except OSError as error:
        return Finding(part, False, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except Exception as error:
        # a library's own text may quote an address with its password
        return Finding(part, False, f"cannot be examined ({type(error).__name__}): see that it runs and can be reached")
