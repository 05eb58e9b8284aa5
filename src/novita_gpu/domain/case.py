"""What a decision may know, and what every rule may ask for: a mutation, or a pause before the next one."""

from datetime import datetime, timedelta

from novita_gpu.domain.activity import Heard
from novita_gpu.domain.idle import (
    IdlePolicy,
)
from novita_gpu.domain.instance import (
    MutationKind,
    Record,
)
from novita_gpu.domain.look import Look, Row
from novita_gpu.domain.orphans import OrphanPolicy, Orphans
from novita_gpu.domain.recovery import RecoveryPolicy
from novita_gpu.domain.steps import (
    Change,
    Rest,
    Step,
)
from novita_gpu.domain.value import Value

# A mutation that was answered and shows no effect for this long is asked for again, later each time.
AGAIN_AFTER = timedelta(seconds=60)
# By how much sooner when it was refused, or had no answer and shows no effect.
HASTE = 30
AGAIN_AT_MOST = timedelta(minutes=10)
DOUBLINGS = 10  # more than reach the longest; a pause without a bound cannot be told in time
NONE_KNOWN = Orphans()
UNHEARD = Heard()


class Policy(Value, frozen=True, kw_only=True):
    """The operator's limits."""

    settle: timedelta = timedelta(seconds=20)
    launch_timeout: timedelta = timedelta(minutes=30)
    not_ready_stop: timedelta = timedelta(minutes=60)
    idle: IdlePolicy = IdlePolicy()
    recovery: RecoveryPolicy = RecoveryPolicy()
    orphans: OrphanPolicy = OrphanPolicy()


class Case(Value, frozen=True, kw_only=True):
    """All that a decision may know."""

    record: Record
    look: Look | None
    heard: Heard
    now: datetime
    policy: Policy
    orphans: Orphans


def limit_at(record: Record, policy: Policy) -> datetime:
    """Until when it must run: counted from the wish, or from when the last offer's machine got stuck."""
    return (record.run.limit_from or record.run.asked_at) + policy.launch_timeout


def pause(case: Case) -> Step | None:
    until = case.record.run.not_before
    return Rest(until=until, reason=case.record.reason or "trying again later") if until and case.now < until else None


def mutate(case: Case, kind: MutationKind, twin: Row | None, reason: str) -> Step:
    """The mutation, or a rest while the same one's effect may still show."""
    machine = twin.id if twin else case.record.machine and case.record.machine.id
    assert machine
    last = case.record.twin_removal if twin else case.record.mutation
    if last is None or (last.kind, last.machine, last.generation) != (kind, machine, case.record.generation):
        return Change(kind=kind, machine=machine, twin=twin is not None, reason=reason)
    accepted = last.answered_at is not None and not last.refused
    pause = min(AGAIN_AFTER * 2 ** min(last.tries - 1, DOUBLINGS), AGAIN_AT_MOST)
    again = last.over_at + pause / (1 if accepted else HASTE)
    if case.now < again:
        word = "accepted; its effect is awaited" if accepted else "refused or not answered; it is repeated soon"
        return Rest(until=again, reason=f"{kind} was {word}")
    return Change(kind=kind, machine=machine, twin=twin is not None, tries=last.tries + 1, reason=reason)
