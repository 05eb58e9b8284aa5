"""What the cloud's answer to a mutation changes in the record. An answer is a fact: it is applied to whatever the
record has become meanwhile, and never thrown away.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.imaging import is_of_its_image, refused
from novita_gpu.domain.instance import (
    Attempt,
    AttemptState,
    CloudId,
    Failure,
    Machine,
    Mutation,
    MutationKind,
    Record,
    Refusal,
    Run,
    Wish,
)
from novita_gpu.domain.learn import Learned, Note, may_lag
from novita_gpu.domain.recovery import without_recovery
from novita_gpu.domain.saving import began, ended
from novita_gpu.domain.spec import OnStartCapacity
from novita_gpu.domain.value import Value

FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=1)
# A GPU that was given away comes back when somebody stops: asking more often than this only costs calls.
FIRST_CAPACITY_PAUSE = timedelta(seconds=15)
LONGEST_CAPACITY_PAUSE = timedelta(minutes=5)
# How long all creates wait after the cloud spoke of money or the key.
HOLD = timedelta(minutes=1)


class Meaning(StrEnum):
    DONE = "done"
    CAPACITY = "capacity"
    WITHDRAWN = "withdrawn"  # what was ordered is not sold any more
    REJECTED = "rejected"
    WRONG_STATE = "wrong_state"
    NOT_FOUND = "not_found"
    HELD = "held"
    LATER = "later"  # nothing was done; try the same again
    UNKNOWN = "unknown"  # sent, and what came of it is not known


class Reply(Value, frozen=True, kw_only=True):
    """The cloud's answer to one mutation."""

    meaning: Meaning
    at: datetime
    message: str = ""
    machine: CloudId | None = None
    retry_after: timedelta | None = None


_REFUSALS = {
    Meaning.CAPACITY: Refusal.CAPACITY,
    Meaning.WITHDRAWN: Refusal.WITHDRAWN,
    Meaning.REJECTED: Refusal.REJECTED,
    Meaning.WRONG_STATE: Refusal.REJECTED,
    Meaning.NOT_FOUND: Refusal.REJECTED,
    Meaning.HELD: Refusal.HELD,
    Meaning.LATER: Refusal.LATER,
}


def create_answered(record: Record, number: int, reply: Reply) -> Learned:
    """The answer to the create of attempt `number`."""
    attempt = next((a for a in record.attempts if a.number == number), None)
    if attempt is None or reply.meaning is Meaning.UNKNOWN:
        return Learned(record=record)
    if reply.meaning is Meaning.DONE:
        assert reply.machine
        return Learned(record=adopted(record, attempt, reply.machine, reply.at))
    return _create_refused(record, attempt, reply)


_KNOWN = frozenset({AttemptState.ADOPTED, AttemptState.TAKEN_IN, AttemptState.RELEASED})


def adopted(record: Record, attempt: Attempt, machine: CloudId, at: datetime) -> Record:
    """The machine of an attempt is known. If the record has got another one meanwhile, this one is a twin.

    An answer that comes when the machine has been known and may be gone again tells nothing new; to a closed record
    it tells only whose the machine is, unless another record has it.
    """
    if attempt.state in _KNOWN or (record.machine and record.machine.id != machine):
        return record
    attempt = replace(attempt, state=AttemptState.ADOPTED, machine=machine, answered_at=at, refusal=None, message=None)
    record = record.with_attempt(attempt)
    if record.machine or record.deleted_at:
        return record
    return replace(
        record,
        machine=Machine(id=machine, offer=attempt.offer, attempt=attempt.number, adopted_at=at),
        seen=None,
        missing_at=None,
        mutation=None,
        run=replace(record.run, sent_at=at, not_before=None, refusals=0),
        reason=None,
    )


def settled(record: Record, attempt: Attempt) -> Learned:
    """An attempt without an answer made nothing."""
    attempt = replace(attempt, state=AttemptState.SETTLED)
    reason = f"attempt {attempt.number} had no answer and made nothing"
    return Learned(record=record.with_attempt(attempt), notes=(Note(type=EventType.ATTEMPT_SETTLED, reason=reason),))


def _create_refused(record: Record, attempt: Attempt, reply: Reply) -> Learned:
    if attempt.state is not AttemptState.OPEN:
        return Learned(record=record)
    refusal = _REFUSALS[reply.meaning]
    attempt = replace(attempt, state=AttemptState.REFUSED, refusal=refusal, message=reply.message, answered_at=reply.at)
    record = record.with_attempt(attempt)
    offer = attempt.offer
    if refusal in {Refusal.CAPACITY, Refusal.WITHDRAWN}:
        reason = f"{offer.product_id} in {offer.region}: {reply.message}"
        return Learned(record=record, notes=(Note(type=EventType.OFFER_REFUSED, reason=reason),))
    if refusal is Refusal.REJECTED and is_of_its_image(record):
        return refused(record.with_attempt(replace(attempt, refusal=Refusal.LATER)), reply.message)
    if refusal is Refusal.REJECTED:
        return Learned(record=failed(record, "NOVITA_REJECTED", f"the cloud refused it: {reply.message}", reply.at))
    if refusal is Refusal.HELD:
        held = replace(record.run, not_before=reply.at + HOLD)
        reason = f"the cloud sells nothing to this account now: {reply.message}"
        return Learned(
            record=replace(record, run=held, reason=reason), notes=(Note(type=EventType.CREATES_HELD, reason=reason),)
        )
    return Learned(record=paused(record, reply, FIRST_PAUSE, LONGEST_PAUSE))


def mutation_answered(record: Record, mutation: Mutation, reply: Reply) -> Learned:
    """The answer to a start, stop, restart, migrate or delete."""
    if record.twin_removal and record.twin_removal.id == mutation.id:
        return Learned(record=replace(record, twin_removal=_closed(mutation, reply)))
    if record.mutation is None or record.mutation.id != mutation.id:
        return Learned(record=record)
    record = replace(record, mutation=_closed(mutation, reply))
    if reply.meaning is Meaning.DONE:
        return Learned(record=_done(record, mutation, reply))
    if reply.meaning is Meaning.CAPACITY:
        return _no_capacity(record, reply)
    if reply.meaning is Meaning.NOT_FOUND:
        return Learned(record=_missing(record, reply.at))
    reason = f"{mutation.kind} was refused: {reply.message}"
    if reply.meaning not in {Meaning.REJECTED, Meaning.HELD}:
        return Learned(record=record)
    if record.recovering and record.run.migrate and mutation.kind is MutationKind.MIGRATE:
        return Learned(record=_turned(record, reply))
    if mutation.kind in _UPWARD:
        return Learned(record=failed(record, "NOVITA_REJECTED", reason, reply.at))
    return Learned(record=replace(record, reason=reason))


def _missing(record: Record, at: datetime) -> Record:
    """The cloud does not know the machine: a hint, and none at all while it is young and the cloud may lag."""
    if record.machine is None or may_lag(record, at):
        return record
    return replace(record, missing_at=record.missing_at or at)


_UPWARD = frozenset({MutationKind.START, MutationKind.RESTART, MutationKind.MIGRATE})


def _closed(mutation: Mutation, reply: Reply) -> Mutation:
    if reply.meaning is Meaning.UNKNOWN:
        return mutation
    return replace(mutation, answered_at=reply.at, refused=reply.meaning is not Meaning.DONE)


def _done(record: Record, mutation: Mutation, reply: Reply) -> Record:
    if mutation.kind not in _UPWARD or mutation.generation != record.generation:
        return record
    return replace(record, run=replace(record.run, sent_at=reply.at, not_before=None, refusals=0), reason=None)


def _no_capacity(record: Record, reply: Reply) -> Learned:
    """The GPU of a stopped machine was given away: wait, migrate or fail, as the instance's policy says."""
    reason = f"its GPU was given away: {reply.message}"
    if record.recovering and record.run.migrate:
        return Learned(record=_turned(record, reply))
    note = Note(type=EventType.START_REFUSED, reason=reason)
    if record.on_start_capacity is OnStartCapacity.FAIL:
        return Learned(record=failed(record, "NO_CAPACITY", reason, reply.at), notes=(note,))
    if record.on_start_capacity is OnStartCapacity.MIGRATE and not record.run.migrate:
        return Learned(record=replace(record, run=replace(record.run, migrate=True), reason=reason), notes=(note,))
    record = paused(record, reply, FIRST_CAPACITY_PAUSE, LONGEST_CAPACITY_PAUSE)
    return Learned(record=replace(record, reason=reason), notes=(note,))


def _turned(record: Record, reply: Reply) -> Record:
    """The cloud does not migrate it: the recovery goes on by a new machine."""
    assert record.recovering
    reason = f"it could not be migrated: {reply.message}"
    return replace(record, recovering=replace(record.recovering, by="recreate"), reason=reason)


def paused(record: Record, reply: Reply, first: timedelta, longest: timedelta) -> Record:
    """The next try comes later, each time more so, and never before the cloud's own Retry-After."""
    pause = max(min(first * 2**record.run.refusals, longest), reply.retry_after or timedelta(0))
    run = replace(record.run, refusals=min(record.run.refusals + 1, 20), not_before=reply.at + pause)
    return replace(record, run=run, reason=reply.message or record.reason)


def no_room(learned: Learned, reason: str, at: datetime) -> Learned:
    """The operator's limit has no room for it: it waits, reserves nothing meanwhile, and says so once."""
    record = learned.record
    waits = paused(record, Reply(meaning=Meaning.LATER, at=at, message=reason), FIRST_PAUSE, LONGEST_PAUSE)
    told = () if record.run.no_room else (Note(type=EventType.LIMIT_REACHED, reason=reason),)
    return Learned(record=replace(waits, run=replace(waits.run, no_room=True)), notes=(*learned.notes, *told))


def failed(record: Record, code: str, message: str, at: datetime) -> Record:
    """It cannot be had as asked. What still runs for it is brought down before the status says so."""
    recovering = without_recovery(record, Wish.STOPPED).recovering
    return replace(record, failure=Failure(code=code, message=message, at=at), reason=message, recovering=recovering)


def ended_by_policy(record: Record, wish: Wish, operation: str, reason: str) -> Record:
    """Its own policy changes the wish, as if somebody had asked; heartbeats are refused from this commit on."""
    saving = began(record.saving, record.bill.rate.compute) if wish is Wish.STOPPED else record.saving
    return replace(
        record,
        wants=wish,
        generation=record.generation + 1,
        operation=operation,
        reason=reason,
        saving=saving,
        recovering=without_recovery(record, wish).recovering,
    )


def new_run(record: Record, run: Run, operation: str) -> Record:
    """A new wish to run: its own operation, run and times; nothing of the run before can judge it."""
    return replace(
        record,
        wants=Wish.RUNNING,
        generation=record.generation + 1,
        operation=operation,
        run=run,
        failure=None,
        reason=None,
        saving=ended(record.saving, record.stopped_at, run.asked_at),
        recovering=without_recovery(record, Wish.RUNNING).recovering,
        ready_at=None,
        stopped_at=None,
    )
