"""``/v1/dead-letters``: what could not be processed; looked at, sent again, or put away."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, Field

from access.principal import Principal, Scope
from access.web import actor_of
from broker.dead_letters import DeadLetters, Letter, State, Wanted
from core.errors import Forbidden, Unprocessable
from core.metrics import Metrics
from query_api.administration import AccessService, Body, Manager
from query_api.responses import PROBLEMS_OF_ONE

router = APIRouter(tags=["dead letters"])

#: Letters that one request replays or purges at most.
MOST = 1000

Stage = Literal["ingest", "decode", "store"]
Shown = Literal["waiting", "replayed", "purged", "all"]


class Replayer(Protocol):
    """What ``app.state.replay`` is (``ingest.replay.Replay``)."""

    async def replay(self, letters: Sequence[tuple[Letter, State]]) -> Any:
        """Send letters again; what came of it, as a dataclass."""
        ...


class LetterModel(Body):
    """A dead letter; `topic`, `partition` and `offset` are those of a record, `door` and `field` those of a row."""

    id: str
    state: State
    tenant: str | None
    stage: str
    time: datetime
    reason: str
    kind: str
    field: str
    event_id: str | None
    door: str
    content_type: str
    topic: str
    partition: int | None
    offset: int | None
    bytes: int


class WholeLetterModel(LetterModel):
    """A dead letter with its bytes: as text, or in base64 where they are none."""

    original: str | None
    original_base64: str | None


class LettersModel(Body):
    """Letters, newest first; `cursor` asks for those that follow, also where this page is empty."""

    letters: list[LetterModel]
    cursor: str | None


class Refusal(Body):
    """A letter that was refused again, and stays."""

    id: str
    field: str
    reason: str


class ReplayModel(Body):
    """What came of a replay: `replayed` letters, of which `accepted` events and `records` were appended."""

    replayed: int
    accepted: int
    records: int
    duplicates: int
    rejected: int
    errors: list[Refusal]
    cursor: str | None = None


class PurgeModel(Body):
    """How many letters were put away; `cursor` asks for those that follow."""

    purged: int
    cursor: str | None = None


class Filter(Body):
    """Which letters; without any condition all that wait."""

    tenant: str | None = Field(None, max_length=64, description="The caller's own, or empty for those of no tenant.")
    stage: Stage | None = None
    reason: str | None = Field(None, max_length=200, description="Text in the reason, its kind, or the field's name.")
    start: AwareDatetime | None = Field(None, alias="from", description="Letters of this time or later.")
    end: AwareDatetime | None = Field(None, alias="to", description="Letters before this time.")

    def wanted(self, caller: Principal, state: Shown = "waiting") -> Wanted:
        """The letters among those that the caller may see."""
        tenants = reach(caller)
        if self.tenant is not None:
            one = self.tenant or None
            if one not in tenants:
                raise Forbidden("Letters of a tenant are its admin's to see, those of none are for the scope 'hub'.")
            tenants = {one}
        states: tuple[State, ...] = ("waiting", "replayed", "purged") if state == "all" else (state,)
        return Wanted(tenants, self.stage, self.reason, self.start, self.end, states)


class ReplayFilter(Filter):
    """Which letters are sent again."""

    cursor: str | None = Field(None, max_length=60)
    limit: int = Field(MOST, ge=1, le=MOST)


def reach(caller: Principal) -> set[str | None]:
    """Whose letters a caller may see: an admin the tenant's own, ``hub`` those of no tenant."""
    own: set[str | None] = {caller.tenant} if caller.has(Scope.ADMIN) else set()
    return own | ({None} if caller.has(Scope.HUB) else set())


def _letters(request: Request) -> DeadLetters:
    letters: DeadLetters = request.app.state.dead_letters
    return letters


def _of_query(
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    stage: Annotated[Stage | None, Query()] = None,
    reason: Annotated[str | None, Query(max_length=200)] = None,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
) -> Filter:
    return Filter.model_validate({"tenant": tenant, "stage": stage, "reason": reason, "from": start, "to": end})


Letters = Annotated[DeadLetters, Depends(_letters)]
Conditions = Annotated[Filter, Depends(_of_query)]
Cursor = Annotated[str | None, Query(max_length=60)]
Limit = Annotated[int, Query(ge=1, le=MOST)]


@router.get("/v1/dead-letters", summary="List dead letters", responses=PROBLEMS_OF_ONE)
async def listing(
    caller: Manager,
    letters: Letters,
    conditions: Conditions,
    state: Annotated[Shown, Query()] = "waiting",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> LettersModel:
    """Letters without their bytes: an admin's own tenant's, with the scope `hub` those that belong to no tenant."""
    page = await letters.page(conditions.wanted(caller, state), cursor, limit)
    return LettersModel(letters=[LetterModel(**_told(*one)) for one in page.letters], cursor=page.cursor)


@router.post("/v1/dead-letters/replay", summary="Replay dead letters", responses=PROBLEMS_OF_ONE)
async def replay_many(
    body: ReplayFilter, caller: Manager, letters: Letters, access: AccessService, request: Request
) -> ReplayModel:
    """Send letters that wait again, newest first; those that are refused again stay. Ask until there is no `cursor`."""
    page = await letters.page(body.wanted(caller), body.cursor, body.limit)
    done = await _replay(request, page.letters)
    detail = {**body.model_dump(mode="json", exclude_none=True, exclude={"cursor"}), "replayed": done.replayed}
    await access.audit.record(caller.tenant, actor_of(request, caller), "dead_letter.replay", "dead-letters", detail)
    return done.model_copy(update={"cursor": page.cursor})


@router.delete("/v1/dead-letters", summary="Purge dead letters", responses=PROBLEMS_OF_ONE)
async def purge_many(
    caller: Manager,
    letters: Letters,
    access: AccessService,
    request: Request,
    conditions: Conditions,
    everything: Annotated[bool, Query(alias="all", description="Needed where there is no condition.")] = False,
    cursor: Cursor = None,
    limit: Limit = MOST,
) -> PurgeModel:
    """Put letters that wait away: nobody sees or replays them any more. Ask until there is no `cursor`."""
    told = conditions.model_dump(mode="json", exclude_none=True)
    if not told and not everything:
        raise Unprocessable("all: name a condition, or say all=true to purge every letter that waits.", field="all")
    page = await letters.page(conditions.wanted(caller), cursor, limit)
    await _purge(request, letters, [letter.id for letter, _ in page.letters])
    detail = {**told, "purged": len(page.letters)}
    await access.audit.record(caller.tenant, actor_of(request, caller), "dead_letter.purge", "dead-letters", detail)
    return PurgeModel(purged=len(page.letters), cursor=page.cursor)


@router.get("/v1/dead-letters/{letter_id}", summary="Read a dead letter", responses=PROBLEMS_OF_ONE)
async def show(
    letter_id: str, caller: Manager, letters: Letters, access: AccessService, request: Request
) -> WholeLetterModel:
    """One letter with its original bytes. Purged ones are told of without them."""
    letter, state = await letters.get(letter_id, reach(caller))
    actor = actor_of(request, caller)
    await access.audit.record(caller.tenant, actor, "dead_letter.show", f"dead-letter/{letter.id}")
    return WholeLetterModel(**_told(letter, state), **_original(None if state == "purged" else letter.original))


@router.post("/v1/dead-letters/{letter_id}/replay", summary="Replay a dead letter", responses=PROBLEMS_OF_ONE)
async def replay(
    letter_id: str, caller: Manager, letters: Letters, access: AccessService, request: Request
) -> ReplayModel:
    """Send one letter again. It counts once, however often it is replayed."""
    letter, state = await letters.get(letter_id, reach(caller))
    done = await _replay(request, [(letter, state)])
    actor, detail = actor_of(request, caller), {"replayed": done.replayed}
    await access.audit.record(caller.tenant, actor, "dead_letter.replay", f"dead-letter/{letter.id}", detail)
    return done


@router.delete("/v1/dead-letters/{letter_id}", summary="Purge a dead letter", responses=PROBLEMS_OF_ONE)
async def purge(
    letter_id: str, caller: Manager, letters: Letters, access: AccessService, request: Request
) -> PurgeModel:
    """Put one letter away."""
    letter, state = await letters.get(letter_id, reach(caller))
    waiting = [letter.id] if state == "waiting" else []
    await _purge(request, letters, waiting)
    actor = actor_of(request, caller)
    await access.audit.record(caller.tenant, actor, "dead_letter.purge", f"dead-letter/{letter.id}")
    return PurgeModel(purged=len(waiting))


async def _replay(request: Request, letters: Sequence[tuple[Letter, State]]) -> ReplayModel:
    replayer: Replayer = request.app.state.replay
    done = await replayer.replay(letters)
    errors = [Refusal(id=one.id, field=one.field, reason=one.reason) for one in done.refused]
    return ReplayModel(
        replayed=done.replayed,
        accepted=done.accepted,
        records=done.records,
        duplicates=done.duplicates,
        rejected=len(errors),
        errors=errors,
    )


async def _purge(request: Request, letters: DeadLetters, ids: Sequence[str]) -> None:
    metrics: Metrics = request.app.state.metrics
    await letters.settle(ids, "purged")
    metrics.dead_letters_settled.labels("purged").inc(len(ids))


def _told(letter: Letter, state: State) -> dict[str, Any]:
    names = LetterModel.model_fields.keys() - {"state", "bytes"}
    told = {name: getattr(letter, name) for name in names}
    return {**told, "state": state, "bytes": len(letter.original or b"")}


def _original(original: bytes | None) -> dict[str, Any]:
    if original is None:
        return {"original": None, "original_base64": None}
    try:
        return {"original": original.decode(), "original_base64": None}
    except UnicodeDecodeError:
        return {"original": None, "original_base64": base64.b64encode(original).decode()}
