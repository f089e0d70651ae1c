"""The demo: a simulated platform of two tenants, two days of history in seconds, then live, with incidents in it."""

import asyncio
import logging
from datetime import datetime, timedelta

from access.audit import SYSTEM
from access.keys import NewKey
from access.principal import Role, Scope
from access.service import Access
from core.errors import Conflict, HubError
from hub.compose import Hub
from hub.process import say
from hub.progress import progress_bar
from hub.simulate import PlannedFault, SimulationConfig, simulate
from hub.simulate.run import Outcome
from hub.target import admin_key

logger = logging.getLogger("llm_hub.demo")

HISTORY = timedelta(days=2)
LIVE = timedelta(days=30)
#: Events a second of the two days before: enough to look alive, few enough to be there in seconds.
HISTORY_RATE = 1.5
TENANTS = ("default", "acme")
_HOUR = 3600.0
KEY_NAME = "demo traffic"

#: What has gone wrong in the two days, so that there is something to find.
PAST_FAULTS = (
    PlannedFault("provider_outage", after_s=9 * _HOUR, for_s=0.7 * _HOUR),
    PlannedFault("prompt_regression", after_s=21 * _HOUR, for_s=4 * _HOUR),
    PlannedFault("cost_spike_user", after_s=31 * _HOUR, for_s=3 * _HOUR),
    PlannedFault("latency_creep", after_s=40 * _HOUR, for_s=5 * _HOUR),
    PlannedFault("guardrail_storm", after_s=46.5 * _HOUR, for_s=1 * _HOUR),
)
#: And what goes wrong while one watches.
COMING_FAULTS = (
    PlannedFault("provider_outage", after_s=300, for_s=240),
    PlannedFault("token_leak", after_s=1200, for_s=900),
    PlannedFault("cache_collapse", after_s=2700, for_s=900),
)


class Demo:
    """Feeds a hub from inside its own process, through its doors like anybody else.

    Parameters
    ----------
    rate
        Live events a second.
    seed
        The same seed gives the same platform.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._seed = seed
        self._feeding: asyncio.Task[None] | None = None

    async def start(self, hub: Hub, url: str) -> None:
        """Print the sign-in link and begin; the feeding ends with the hub."""
        access = hub.access
        owner = await access.authenticate(admin_key(hub.settings))
        token, _ = await access.sessions.create_link(owner.tenant, owner.key_id, timedelta(hours=12))
        say(f"Sign in here: {url}/sign-in?token={token}")
        keys = {tenant: await _tenant_key(access, tenant, hub.clock.now() + LIVE) for tenant in TENANTS}
        self._feeding = asyncio.create_task(self._feed(hub, url, keys), name="demo")
        hub.on_stop(self._stop)

    async def _stop(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)

    async def _feed(self, hub: Hub, url: str, keys: dict[str, str]) -> None:
        past_is_there = hub.settings.data_dir / "demo.done"
        try:
            now = hub.clock.now()
            # Side by side: whoever opens the page meanwhile sees something move.
            live = asyncio.create_task(self._live(now, url, keys))
            try:
                if not past_is_there.exists():
                    await self._history(hub, now, url, keys)
                    past_is_there.touch()
                await live
            finally:
                live.cancel()
        except HubError as error:
            logger.warning("the demo's traffic has ended: %s", error.detail)

    async def _history(self, hub: Hub, now: datetime, url: str, keys: dict[str, str]) -> None:
        began = hub.clock.monotonic()
        with progress_bar("two days of history") as progress:
            past = await simulate(self._past(now), url=url, key=keys, progress=progress)
        say(f"{past.events:,} events of history in {hub.clock.monotonic() - began:.0f} s")

    def _past(self, now: datetime) -> SimulationConfig:
        return SimulationConfig(
            seed=self._seed,
            rate=HISTORY_RATE,
            start=now - HISTORY,
            duration=HISTORY,
            tenants=TENANTS,
            faults=PAST_FAULTS,
        )

    async def _live(self, now: datetime, url: str, keys: dict[str, str]) -> Outcome:
        """From where the history ended; what has been missed meanwhile is sent at once."""
        config = SimulationConfig(
            seed=self._seed + 1, rate=self._rate, start=now, duration=LIVE, tenants=TENANTS, faults=COMING_FAULTS
        )
        return await simulate(config, url=url, key=keys, live=True)


async def _tenant_key(access: Access, tenant: str, expires: datetime) -> str:
    """A key for the demo's own traffic, made at every start: only its hash is kept."""
    try:
        await access.tenants.create(tenant, tenant.title(), SYSTEM)
    except Conflict:
        logger.debug("the tenant %s is there already", tenant)
    for old in await access.keys.list(tenant):
        if old.name == KEY_NAME and old.revoked_at is None:
            await access.keys.revoke(old.id, SYSTEM)
    new = NewKey(tenant, Role.DEVELOPER, frozenset({Scope.INGEST}), name=KEY_NAME, expires_at=expires)
    issued = await access.keys.create(new, SYSTEM)
    return issued.secret
