"""Two histories of one record that parted at `base`: ours, kept while the shared store was out, and theirs, kept there.

What was wished is stronger than what was seen: a delete goes before a stop, a stop before a run. Facts are theirs, as
others may have acted by them; what only we know of an attempt is added.
"""

from msgspec.structs import replace

from novita_gpu.domain.instance import Attempt, AttemptState, Machine, Record, Wish
from novita_gpu.domain.recovery import without_recovery

STRENGTH = {Wish.RUNNING: 0, Wish.STOPPED: 1, Wish.DELETED: 2}
POLICIES = ("auto_stop", "recovery", "on_start_capacity", "webhook_url", "health_check")


def merged(base: Record, ours: Record, theirs: Record) -> Record:
    """The record that follows both. Where theirs never moved it is ours."""
    if theirs.revision == ours.base:
        return replace(ours, base=None)
    facts = _with_attempts(theirs, ours)
    return _with_wish(_with_policies(facts, base, ours), base, ours, theirs)


def _with_attempts(record: Record, ours: Record) -> Record:
    """What became of an attempt that is open there still, and its machine if there is none."""
    known = {attempt.number: attempt for attempt in ours.attempts}
    attempts = tuple(_known_better(attempt, known.get(attempt.number)) for attempt in record.attempts)
    record = replace(record, attempts=attempts)
    return replace(record, machine=_adopted(record, ours)) if record.machine is None else record


def _known_better(theirs: Attempt, ours: Attempt | None) -> Attempt:
    is_better = ours is not None and theirs.state is AttemptState.OPEN and ours.state is not AttemptState.OPEN
    return ours if is_better and ours else theirs


def _adopted(record: Record, ours: Record) -> Machine | None:
    """Our machine, if theirs has come to know it by the attempt just taken over."""
    machine, adopted = ours.machine, {a.machine for a in record.attempts if a.state is AttemptState.ADOPTED}
    return machine if machine and machine.id in adopted and not record.deleted_at else None


def _with_policies(record: Record, base: Record, ours: Record) -> Record:
    """What was changed here alone, or here last."""
    is_later = ours.updated_at > record.updated_at
    changed = {
        name: getattr(ours, name)
        for name in POLICIES
        if getattr(ours, name) != getattr(base, name) and (is_later or getattr(record, name) == getattr(base, name))
    }
    return replace(record, **changed)


def _with_wish(record: Record, base: Record, ours: Record, theirs: Record) -> Record:
    """A wish counts where somebody wished: what was only seen there is no wish."""
    if record.deleted_at or ours.generation == base.generation:
        return record
    is_moved = theirs.generation != base.generation
    if is_moved and STRENGTH[ours.wants] <= STRENGTH[theirs.wants]:
        return record
    wished = replace(
        without_recovery(record, ours.wants),
        wants=ours.wants,
        generation=max(ours.generation, theirs.generation) + 1,
        operation=ours.operation,
        operation_webhook_url=ours.operation_webhook_url,
        reason=ours.reason,
        failure=None,
        saving=ours.saving if theirs.saving == base.saving else theirs.saving,
    )
    return replace(wished, run=ours.run) if ours.wants is Wish.RUNNING else wished
