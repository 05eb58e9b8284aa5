"""The one next step for an instance, with its reason. Pure: no I/O, no clock.

The first rule that fits decides, in this order: twin → closed → open attempt → unanswered mutation → delete wanted →
absent from the listing → exited unasked → time limit → stop wanted → its own policy → runs dearer → image →
recovery → no machine → not running → not ready → rest.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from novita_gpu.domain.activity import Heard
from novita_gpu.domain.case import NONE_KNOWN, UNHEARD, Case, Policy, limit_at, mutate, pause
from novita_gpu.domain.dearer import tell_at
from novita_gpu.domain.idle import (
    DISCARD_NOTICE,
    acting_due,
    discard_due,
    due_now,
    minutes,
    next_at,
    notice,
)
from novita_gpu.domain.imaging import next_at as image_at
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    EXITED_STATUS,
    GOING_STATUSES,
    RUNNING_STATUS,
    MutationKind,
    Record,
    RunKind,
    Wish,
    is_down,
)
from novita_gpu.domain.learn import YOUNG, counts, may_lag, settles
from novita_gpu.domain.look import Look
from novita_gpu.domain.orphans import Orphans, Standing, is_past, standing
from novita_gpu.domain.readiness import next_probe_at, targets_are_known
from novita_gpu.domain.reclaim import dearer, recovery, recreate, save_image, take_back
from novita_gpu.domain.steps import (
    Adopt,
    Change,
    Close,
    Discard,
    Fail,
    Idle,
    Inspect,
    Launch,
    Measure,
    Probe,
    Recover,
    Rest,
    SaveImage,
    Settle,
    Step,
    Warn,
    WarnDiscard,
)
from novita_gpu.domain.twins import twin

# How long a start may leave no trace in a listing.
EXIT_GRACE = timedelta(seconds=60)
# Connection details that lacked a port are read again after this.
READ_AGAIN_AFTER = timedelta(seconds=10)


def decide(
    record: Record,
    look: Look | None,
    now: datetime,
    policy: Policy,
    *,
    heard: Heard = UNHEARD,
    orphans: Orphans = NONE_KNOWN,
) -> Step:
    """The step of the first rule that fits. `record` has already learned from `look`."""
    case = Case(record=record, look=look, heard=heard, now=now, policy=policy, orphans=orphans)
    for rule in _RULES:
        step = rule(case)
        if step is not None:
            return _held(case, step)
    return _at_rest(case)


def _held(case: Case, step: Step) -> Step:
    """By a copy of a record of the shared store, which is out, nothing is begun that bills: others may act by it."""
    kinds = {MutationKind.START, MutationKind.RESTART, MutationKind.MIGRATE}
    bills = isinstance(step, Launch | Recover | SaveImage) or (isinstance(step, Change) and step.kind in kinds)
    if case.record.base is None or not bills:
        return step
    return Rest(reason=f"{step.reason}; it waits for the shared store, which is out")


def _closed(case: Case) -> Step | None:
    return Rest(reason="deleted") if case.record.deleted_at else None


def _open_attempt(case: Case) -> Step | None:
    attempt = case.record.open_attempt
    if attempt is None:
        return None
    row = next((r for r in (case.look.marked if case.look else ()) if r.marker == attempt.marker), None)
    if row:
        return Adopt(attempt=attempt, row=row, reason="its marker was seen")
    if case.now < attempt.deadline:
        return Rest(until=attempt.deadline, reason="create has not answered yet")
    second = case.look and attempt.absent_at and case.look.began_at > attempt.absent_at
    if second and case.look and settles(attempt, case.look, case.policy.settle):
        return Settle(attempt=attempt, reason="two complete listings lack its marker")
    settle_from = attempt.deadline + case.policy.settle
    return Rest(
        until=settle_from if settle_from > case.now else None,
        reason="create had no answer; listings will tell whether it made a machine",
    )


def _unanswered(case: Case) -> Step | None:
    mutation = case.record.mutation
    if mutation and mutation.answered_at is None and case.now < mutation.deadline:
        return Rest(until=mutation.deadline, reason=f"{mutation.kind} has not answered yet")
    return None


def _delete_wanted(case: Case) -> Step | None:
    record = case.record
    if record.wants is not Wish.DELETED:
        return None
    if record.machine is None:
        left = _left(case)
        return take_back(record) or left or Close(reason="nothing is left of it in the cloud")
    return _remove(case, "delete was asked for")


def _left(case: Case) -> Rest | None:
    """A machine that it made is still listed and not going: its removal is under way."""
    for row in case.look.marked if case.look else ():
        stands = standing(case.record, row)
        is_there = row.seen.status not in GOING_STATUSES and not is_past(case.record, row)
        if stands in {Standing.LEFTOVER, Standing.TWIN} and is_there:
            return Rest(reason=f"{row.id} is being removed")
    return None


def _remove(case: Case, reason: str) -> Step:
    """Delete its machine. The listing's silence after that, or none of either, calls for a get."""
    record = case.record
    assert record.machine
    last = record.mutation
    accepted = last if last and last.kind is MutationKind.DELETE and last.answered_at and not last.refused else None
    going = record.seen is not None and record.seen.status in GOING_STATUSES
    if _is_absent(case):
        if record.missing_at:
            return Rest(reason="not found; a later listing will confirm it")
        if accepted or going or not may_lag(record, case.now):
            return Inspect(reason="to be deleted and no longer listed: is it gone?")
    elif going:
        return Rest(reason="the cloud is removing it")
    step = mutate(case, MutationKind.DELETE, None, reason)
    if accepted and isinstance(step, Change) and (record.seen is None or record.seen.at < accepted.over_at):
        return Inspect(reason="deleted and not seen since: is it gone?")
    return step


def _absent(case: Case) -> Step | None:
    record = case.record
    if record.machine is None or not _is_absent(case):
        return None
    if record.missing_at:
        return Rest(reason="not found; a later listing will confirm it")
    if case.now < record.machine.adopted_at + YOUNG:
        return None
    return Inspect(reason="no longer listed: is it gone?")


def _is_absent(case: Case) -> bool:
    """A complete listing that counts lacks its machine."""
    look = case.look
    return look is not None and look.complete and look.row is None and counts(case.record, look)


def _exited(case: Case) -> Step | None:
    """A listing may lag behind: that something wanted has exited is believed from a get only."""
    record, look = case.record, case.look
    if record.wants is not Wish.RUNNING or record.failure or record.seen is None or record.run.sent_at is None:
        return None
    if record.seen.status != EXITED_STATUS or (look and look.from_get):
        return None
    grace = record.run.sent_at + EXIT_GRACE
    if case.now < grace and record.run.running_at is None:
        return Rest(until=grace, reason="the cloud has not shown the start yet")
    return Inspect(reason="the listing shows it exited: has it?")


def _time_limit(case: Case) -> Step | None:
    record = case.record
    if record.wants is not Wish.RUNNING or record.failure or record.run.kind is RunKind.TAKEN_IN:
        return None
    run = record.run
    if record.recovering and not record.recovering.begun_at:
        return None  # it waits for its time
    if run.running_at:
        if run.ready_at or case.now < run.running_at + case.policy.not_ready_stop:
            return None
        return Fail(code="NOT_READY", reason=f"not ready {minutes(case.policy.not_ready_stop)} after it began to run")
    seen, machine = record.seen, record.machine
    is_new = machine is not None and not machine.ran
    died = is_new and seen is not None and seen.status == EXITED_STATUS and run.sent_at is not None
    if died and seen and seen.error_state:
        return Fail(code="LAUNCH_FAILED", reason=f"the cloud says {seen.error_state}: {seen.error_message}")
    if not died and case.now < limit_at(record, case.policy):
        return None
    reason = f"it did not run within {minutes(case.policy.launch_timeout)}"
    reason += f"; at last: {record.reason}" if record.reason else ""
    if is_new:
        return _remove(case, reason)
    if record.recovering and run.migrate:
        return recreate(record, reason)
    return Fail(code="START_TIMEOUT" if machine else "LAUNCH_TIMEOUT", reason=reason)


def _stop_wanted(case: Case) -> Step | None:
    record = case.record
    if record.wants is not Wish.STOPPED and not record.failure:
        return None
    if record.machine is None and take_back(record):
        return take_back(record)
    if is_down(record) and (record.machine is None or record.machine.ran):
        return _stopped(case)
    assert record.machine
    if not record.machine.ran:
        return _remove(case, "it never ran, so it holds no data: it is removed")
    status = record.seen.status if record.seen else RUNNING_STATUS
    if status == RUNNING_STATUS:
        return mutate(case, MutationKind.STOP, None, record.reason or "stop was asked for")
    coming = status in COMING_UP_STATUSES
    return Rest(reason="it can be stopped once it runs" if coming else f"the cloud shows it as {status}")


def _stopped(case: Case) -> Step:
    """Down, as wished. Its disk bills on: after the operator's time it is deleted, told of a day before."""
    record, now, discard = case.record, case.now, case.policy.idle.discard
    due = discard_due(record, case.policy.idle)
    if due is None or discard is None:
        return Rest(reason="stopped")
    reason = f"stopped for {discard.total_seconds() / 86_400:g} days, and its disk bills"
    if record.run.discard_warned_at:
        return Discard(reason=reason) if now >= due else Rest(until=due, reason="stopped; it will be deleted")
    if now < due - DISCARD_NOTICE:
        return Rest(until=due - DISCARD_NOTICE, reason="stopped")
    return WarnDiscard(deletes_at=max(due, now + DISCARD_NOTICE), reason=reason)


def _own_policy(case: Case) -> Step | None:
    record, heard, policy = case.record, case.heard, case.policy.idle
    action, due = due_now(record, heard, case.now, policy), acting_due(record, heard, case.now, policy)
    if action == "measure":
        return Measure(reason="is its GPU used?")
    if action is None or due is None:
        return None
    if action == "stop":
        return Idle(rule=due.rule, weighed=heard.last, reason=due.reason)
    stops_at = max(due.at, case.now + notice(due, policy.warn))
    return Warn(due=due.at, stops_at=stops_at, rule=due.rule, reason=due.reason)


def _no_machine(case: Case) -> Step | None:
    record = case.record
    if record.machine:
        return None
    return pause(case) or Launch(reason="it has no machine")


def _not_running(case: Case) -> Step | None:
    record = case.record
    run, seen = record.run, record.seen
    if run.running_at:
        return None
    limit = limit_at(record, case.policy)
    if seen is None:
        return Rest(until=limit, reason="not seen yet")
    if seen.status == RUNNING_STATUS and run.kind is RunKind.RESTART and run.sent_at is None:
        return mutate(case, MutationKind.RESTART, None, "restart was asked for")
    if seen.status == RUNNING_STATUS and not (case.look and case.look.from_get):
        return Inspect(reason="the listing shows it running, as it did before: does it?")
    if seen.status != EXITED_STATUS:
        return Rest(until=limit, reason=f"the cloud shows it as {seen.status}")
    if run.sent_at and seen.error_state:
        return Fail(code="START_FAILED", reason=f"it exited again: {seen.error_state} {seen.error_message}".strip())
    kind = MutationKind.MIGRATE if run.migrate else MutationKind.START
    return pause(case) or mutate(case, kind, None, "start was asked for")


def _not_ready(case: Case) -> Step | None:
    run = case.record.run
    if run.ready_at:
        return None
    if run.connection is None:
        return Inspect(reason="it runs: where does it answer?")
    if not targets_are_known(case.record):
        again = run.connection.read_at + READ_AGAIN_AFTER
        return (
            Inspect(reason="a port had no address yet") if case.now >= again else Rest(until=again, reason="no address")
        )
    probe_at = next_probe_at(case.record)
    return Probe(reason="it runs: does it answer?") if case.now >= probe_at else Rest(until=probe_at, reason="probed")


def _at_rest(case: Case) -> Step:
    record = case.record
    times = (
        next_at(record, case.heard, case.now, case.policy.idle),
        tell_at(record.dearer),
        image_at(record, case.now),
    )
    return Rest(until=min((at for at in times if at), default=None), reason="as wanted")


_RULES: tuple[Callable[[Case], Step | None], ...] = (
    twin,
    _closed,
    _open_attempt,
    _unanswered,
    _delete_wanted,
    _absent,
    _exited,
    _time_limit,
    _stop_wanted,
    _own_policy,
    dearer,
    save_image,
    recovery,
    _no_machine,
    _not_running,
    _not_ready,
)
