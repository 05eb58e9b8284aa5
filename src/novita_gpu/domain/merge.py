"""Two histories of one record that parted at `base`: ours, kept while the shared store was out, and theirs, kept there.

What was wished is stronger than what was seen: a delete goes before a stop, a stop before a run. Facts are theirs, as
others may have acted by them; what only we know of an attempt is added.
"""

from msgspec.structs import replace

from novita_gpu.domain.instance import Attempt, AttemptState, Machine, Record, Wish
from novita_gpu.domain.recovery import without_recovery
from novita_gpu.domain.saving import joined
from novita_gpu.domain.telling import told_by_both

STRENGTH = {Wish.RUNNING: 0, Wish.STOPPED: 1, Wish.DELETED: 2}
# What a wish, or anything that is done about it, changes.
ACTED_BY = ("generation", "machine", "attempts", "mutation", "twin_removal", "recovering")
POLICIES = ("auto_stop", "recovery", "on_start_capacity", "webhook_url", "health_check")


def merged(base: Record, ours: Record, theirs: Record) -> Record:
    """The record that follows both."""
    record = _merged(base, ours, theirs)
    return replace(record, told=told_by_both(record, ours, theirs))


def _merged(base: Record, ours: Record, theirs: Record) -> Record:
    """Where theirs never moved, or saw less, it is ours."""
    if theirs.revision == ours.base:
        return replace(ours, base=None)
    if _took_for_removed(base, theirs, ours) or _saw_less(base, ours, theirs):
        return _with_policies(_with_attempts(replace(ours, base=None), theirs), base, theirs)
    facts = replace(_with_absence(_with_attempts(theirs, ours), ours), saving=joined(theirs.saving, ours.saving))
    return _with_wish(_with_policies(facts, base, ours), base, ours, theirs)


def _saw_less(base: Record, ours: Record, theirs: Record) -> bool:
    """Nobody wished anything there or acted by it; the last that was seen there is older. As by a write that the
    server did late. That its machine is gone is believed from here only where that was wished.
    """
    is_idle = all(getattr(theirs, name) == getattr(base, name) for name in ACTED_BY) and not theirs.deleted_at
    is_wished = ours.generation != base.generation
    return is_idle and ours.updated_at > theirs.updated_at and (is_wished or ours.machine == base.machine)


def _took_for_removed(base: Record, record: Record, other: Record) -> bool:
    """It was closed since its machine went, which the other knows to have been our own doing."""
    if record.deleted_at is None or record.generation != base.generation:
        return False
    own = {attempt.number for attempt in other.attempts if attempt.is_removed}
    return any(attempt.vanished_at and attempt.number in own for attempt in record.attempts)


def _with_attempts(record: Record, other: Record) -> Record:
    """All attempts of both, with what the other knows of one that is open here still, and its machine if there is none.

    One that was left out would have its number given again.
    """
    own = {attempt.number: attempt for attempt in record.attempts}
    for attempt in other.attempts:
        record = record.with_attempt(_known_better(own.get(attempt.number, attempt), attempt))
    return replace(record, machine=_adopted(record, other)) if record.machine is None else record


def _known_better(own: Attempt, other: Attempt) -> Attempt:
    if own.state is AttemptState.OPEN:
        return other
    return replace(own, gone_at=other.gone_at, vanished_at=None) if other.is_removed else own


def _adopted(record: Record, other: Record) -> Machine | None:
    """The other's machine, if the record has come to know it by the attempt just taken over."""
    machine = other.machine
    adopted = {a.machine for a in record.attempts if a.state is AttemptState.ADOPTED and not a.gone_at}
    return machine if machine and machine.id in adopted and not record.deleted_at else None


def _with_absence(record: Record, other: Record) -> Record:
    """The cloud has told the other that this very machine is gone: else a young one would be missed for minutes."""
    gone = [a.gone_at for a in other.attempts if record.machine and a.machine == record.machine.id and a.gone_at]
    return replace(record, missing_at=record.missing_at or gone[0]) if gone else record


def _with_policies(record: Record, base: Record, other: Record) -> Record:
    """What was changed in the other alone, or there last."""
    is_later = other.updated_at > record.updated_at
    changed = {
        name: getattr(other, name)
        for name in POLICIES
        if getattr(other, name) != getattr(base, name) and (is_later or getattr(record, name) == getattr(base, name))
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
        saving=ours.saving if theirs.saving == base.saving else record.saving,
    )
    return replace(wished, run=ours.run) if ours.wants is Wish.RUNNING else wished
