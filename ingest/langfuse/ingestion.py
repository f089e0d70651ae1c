"""A batch of Langfuse's items: join, hold, write, answer.

1. The items of a batch are joined by what they are about, with what earlier batches said of it.
2. What has ended becomes events, through the intake like anybody's; a span is written once, at its end.
3. What has not ended is held, durable and sealed, before the answer; so is what later batches need to know of traces.
What never ends is written as far as it is known, see :mod:`ingest.langfuse.unended`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from core.errors import BadRequest, TooLarge
from ingest import forms
from ingest.batch import Arrival, Decoded, Receipt
from ingest.body import once
from ingest.decode.explain import RowInvalid
from ingest.decode.rows import Row, written
from ingest.decode.translated import Translated, decode_translated
from ingest.intake import Decoder, Delivery, Intake
from ingest.langfuse.events import NAMES, event_of
from ingest.langfuse.held import Held, without_contents
from ingest.langfuse.items import Subject, join, read_item
from ingest.limits import Limits

#: Hands what a decoder makes of the request to the intake.
Deliver = Callable[[Decoder], Awaitable[Receipt]]


@dataclass(slots=True)
class Answers:
    """What is said of each item: the answer is 207, whatever it says."""

    ids: list[str]
    errors: dict[str, tuple[str, str]]

    def to_json(self) -> bytes:
        """The answer's body."""
        good = [{"id": one, "status": 201} for one in dict.fromkeys(self.ids) if one not in self.errors]
        bad = [
            {"id": one, "status": 400, "message": f"{field} {reason}".strip(), "error": reason}
            for one, (field, reason) in self.errors.items()
        ]
        return orjson.dumps({"successes": good, "errors": bad})


def read_batch(body: bytes, most: int) -> list[Any]:
    """The items of a body.

    Raises
    ------
    BadRequest
        It is no batch.
    TooLarge
        It has more than ``most`` items.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    batch = value.get("batch") if isinstance(value, dict) else None
    if not isinstance(batch, list):
        raise BadRequest('the body is no batch: send {"batch": [{"id", "type", "timestamp", "body"}, …]}')
    if len(batch) > most:
        raise TooLarge(f"the batch has more than {most} items; send it in parts", limit=most)
    return batch


async def ingest(batch: list[Any], tenant: str, held: Held, deliver: Deliver, *, capture: bool) -> Answers:
    """Take a batch in; everything in it is durable when this returns.

    Parameters
    ----------
    batch
        The items.
    tenant
        From the credential.
    held
        Keeps what has not ended.
    deliver
        Takes events in.
    capture
        Whether the tenant keeps contents.
    """
    answers = Answers([], {})
    subjects, wrong = _read(batch, answers)
    earlier = await held.load(tenant, _names(subjects))
    for subject in subjects:
        if subject.held and (known := earlier.get(subject.name)) is not None:
            subject.merge(known)
    further = _names(subjects) - earlier.keys()  # traces that only the earlier batches named
    earlier |= await held.load(tenant, further)
    traces = {one.id: one.body for one in [*earlier.values(), *subjects] if one.kind == "trace"}
    due = [one for one in subjects if one.ended and not one.written]
    waiting = [one for one in subjects if one.held and not one.ended]
    if waiting:  # before anything is written: whatever happens next, it is known
        await held.save(tenant, [_kept(one, capture) for one in waiting])
    if due or wrong:
        receipt = await deliver(_decoder(due, wrong, traces))
        _blame(receipt, due, len(wrong), answers)
    for subject in due:
        subject.written = True
    changed = [one for one in subjects if one.kind == "trace" and one.written]
    if done := {one.name: one for one in (*due, *changed) if one.held}.values():
        await held.save(tenant, [_kept(one, capture) for one in done])
    return answers


async def give_up(subjects: list[Subject], tenant: str, held: Held, deliver: Deliver) -> None:
    """Write observations that have not ended as far as they are known; they are durable when this returns."""
    traces = await held.load(tenant, _names(subjects))
    await deliver(_decoder(subjects, [], {one.id: one.body for one in traces.values() if one.kind == "trace"}))
    for subject in subjects:
        subject.written = True
    await held.save(tenant, [_kept(one, False) for one in subjects])


def delivering(intake: Intake, tenant: str, wire: bytes, admit: Callable[[int], None] = lambda _rows: None) -> Deliver:
    """A way to the intake.

    Retries are known by the ids of the events: the batch's own bytes say nothing of what was held before.
    """

    async def deliver(decoder: Decoder) -> Receipt:
        def unmarked(plain: bytes, arrival: Arrival, limits: Limits) -> Decoded:
            return replace(decoder(plain, arrival, limits), all_ids=False)

        return await intake.take(Delivery(tenant, "langfuse", once(wire), "", None, unmarked, admit))

    return deliver


def _read(batch: list[Any], answers: Answers) -> tuple[list[Subject], list[tuple[RowInvalid, Any]]]:
    subjects: list[Subject] = []
    wrong: list[tuple[RowInvalid, Any]] = []
    for item in batch:
        item_id = item.get("id") if isinstance(item, dict) else None
        name = item_id if isinstance(item_id, str) else ""
        answers.ids.append(name)
        try:
            subjects.append(read_item(item))
        except RowInvalid as error:
            wrong.append((error, item))
            answers.errors[name] = (error.field, error.reason)
    return join(subjects), wrong


def _names(subjects: list[Subject]) -> set[str]:
    own = {one.name for one in subjects if one.held}
    return own | {f"trace:{one.body['traceId']}" for one in subjects if isinstance(one.body.get("traceId"), str)}


def _kept(subject: Subject, capture: bool) -> Subject:
    """As it is held: of what has been written only what others need to know."""
    body = subject.body if capture and not subject.written else without_contents(subject.body)
    return Subject(subject.kind, subject.id, body, subject.said, written=subject.written)


def _decoder(subjects: list[Subject], wrong: list[tuple[RowInvalid, Any]], traces: dict[str, Any]) -> Decoder:
    def decode(_: bytes, arrival: Arrival, limits: Limits) -> Decoded:
        rows: list[Row] = [(index, {"at": index}, written(item)) for index, (_, item) in enumerate(wrong)]
        for index, one in enumerate(subjects, len(wrong)):
            rows.append((index, {"at": index}, written(one.body)))

        def translate(row: dict[str, Any]) -> list[Translated]:
            if row["at"] < len(wrong):
                raise wrong[row["at"]][0]
            subject = subjects[row["at"] - len(wrong)]
            trace = traces.get(str(subject.body.get("traceId")))
            made = event_of(subject, trace, arrival.tenant)
            event = {name: value for name, value in made.items() if value is not None}
            event.setdefault("time", arrival.received_at.isoformat())
            return [Translated(event, NAMES)]

        return decode_translated(rows, translate, arrival, limits, forms.LANGFUSE)

    return decode


def _blame(receipt: Receipt, subjects: list[Subject], wrong: int, answers: Answers) -> None:
    """The items of a subject that was refused are answered so."""
    for error in receipt.errors:
        if error["index"] >= wrong:
            for item in subjects[error["index"] - wrong].items:
                answers.errors[item] = (error["field"], error["reason"])
