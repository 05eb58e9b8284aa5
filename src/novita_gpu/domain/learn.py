"""What a look teaches about a record: facts only, no decision. The same look twice teaches nothing new."""

from datetime import datetime, timedelta

from msgspec import field
from msgspec.structs import replace

from novita_gpu.domain.dearer import counted
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    EXITED_STATUS,
    GOING_STATUSES,
    GONE_STATUS,
    MIGRATING_STATUS,
    RUNNING_STATUS,
    Attempt,
    MutationKind,
    Record,
    Refusal,
    Run,
    RunKind,
    Seen,
    Wish,
)
from novita_gpu.domain.look import Look, MigrationJob, Row
from novita_gpu.domain.meter import metered
from novita_gpu.domain.recovery import (
    exit_of,
    is_announced,
    is_dearer,
    lost,
    lost_again,
    migrated_outside,
    taken_back,
    without_recovery,
)
from novita_gpu.domain.value import Value

# Not-found right after create is lag of the cloud's list, not death.
YOUNG = timedelta(minutes=5)
# How much later than the not-found the confirming listing must begin.
CONFIRM_AFTER = timedelta(seconds=10)


class Note(Value, frozen=True, kw_only=True):
    """Something that is worth an event of its own."""

    type: EventType
    reason: str
    facts: dict[str, str] = field(default_factory=dict[str, str])


class Learned(Value, frozen=True, kw_only=True):
    record: Record
    notes: tuple[Note, ...] = ()


def plus(learned: Learned, record: Record, *notes: Note) -> Learned:
    """What was learned, with what follows from it."""
    return Learned(record=record, notes=(*learned.notes, *notes))


def learn(record: Record, look: Look | None, settle: timedelta) -> Learned:
    """The record with everything in it that the look tells for certain."""
    if look is None:
        return Learned(record=record)
    learned = _learned(record, look, settle)
    dearer = counted(learned.record.dearer, look.began_at, is_so=is_dearer(learned.record))
    return replace(learned, record=replace(learned.record, dearer=dearer))


def _learned(record: Record, look: Look, settle: timedelta) -> Learned:
    record = _with_former(_absence_of_marker(record, look, settle), look)
    if not counts(record, look):
        return Learned(record=record)
    if look.row:
        record, seen = _placed(record, look.row), replace(look.row.seen, at=look.began_at)
        seen = _with_spot(seen, record) if look.from_get else seen
        return _sighting(record, seen, look, certain=look.from_get)
    if look.not_found:
        return _not_found(record, look.began_at)
    return _absent(record, look) if look.complete else Learned(record=record)


def counts(record: Record, look: Look) -> bool:
    """A look tells of the machine only if it began after the last mutation was over, and is newer than the last."""
    if record.machine is None:
        return False
    since = record.looks_count_from
    return (since is None or look.began_at >= since) and (record.seen is None or look.began_at >= record.seen.at)


def may_lag(record: Record, at: datetime) -> bool:
    """Not-found may be the cloud's own delay, right after create.

    Not any more once the machine was seen and a delete that may have had its effect was sent.
    """
    assert record.machine
    last = record.mutation
    is_sent = last is not None and last.kind is MutationKind.DELETE and (not last.refused or last.tries > 1)
    if is_sent and last and at >= last.over_at and record.seen:
        return False
    return at < record.machine.adopted_at + YOUNG


def settles(attempt: Attempt, look: Look, settle: timedelta) -> bool:
    """Absence in this look says something of that attempt."""
    return look.complete and look.began_at >= attempt.deadline + settle


def _absence_of_marker(record: Record, look: Look, settle: timedelta) -> Record:
    attempt = record.open_attempt
    if attempt is None or attempt.absent_at or not settles(attempt, look, settle):
        return record
    if any(row.marker == attempt.marker for row in look.marked):
        return record
    return record.with_attempt(replace(attempt, absent_at=look.began_at))


def _with_former(record: Record, look: Look) -> Record:
    """Its former machine may be started by somebody else while its replacement comes."""
    recovering = record.recovering
    former = recovering.former if recovering else None
    row = next((row for row in look.marked if former and row.id == former.id), None)
    if recovering is None or row is None:
        return record
    if recovering.former_seen and recovering.former_seen.status == row.seen.status:
        return record
    seen = replace(row.seen, at=look.began_at)
    return replace(record, recovering=replace(recovering, former_seen=seen))


def _placed(record: Record, row: Row) -> Record:
    """A machine that was moved is where the cloud shows it; what was agreed of it stays."""
    machine = record.machine
    if machine is None or row.cluster_id in {"", machine.offer.cluster_id}:
        return record
    offer = replace(machine.offer, cluster_id=row.cluster_id, region=row.region or row.cluster_id)
    return replace(record, machine=replace(machine, offer=offer))


def _sighting(record: Record, seen: Seen, look: Look, *, certain: bool) -> Learned:
    """`certain`: from a get. A listing may lag behind, so an exit nobody asked for is not believed from it."""
    previous_at = look.previous_at
    if seen.status == GONE_STATUS:
        return _gone(record, seen.at, previous_at)
    notes = _announced(record, seen)
    restarted = _is_asked_to_restart(record) and _began_anew(record, seen)
    believed = certain or _is_believed(record, seen)
    record = replace(record, seen=seen, missing_at=None, bill=metered(record, seen, previous_at))
    if seen.status == RUNNING_STATUS:
        record = _runs(record, seen.at, restarted=restarted) if believed else record
    elif seen.status == EXITED_STATUS:
        learned = _exited(record, seen.at, look.job, certain=certain)
        return replace(learned, notes=(*notes, *learned.notes))
    elif seen.status in COMING_UP_STATUSES and record.run.running_at and record.wants is Wish.RUNNING:
        return _comes_up_again(record, seen)
    return Learned(record=record, notes=notes)


def _announced(record: Record, seen: Seen) -> tuple[Note, ...]:
    """That the cloud will take it is told at once, and once for each time that it names."""
    before = record.seen
    if record.wants is not Wish.RUNNING or record.failure or not is_announced(seen) or seen.status == EXITED_STATUS:
        return ()
    if before and is_announced(before) and before.spot_reclaim_at == seen.spot_reclaim_at:
        return ()
    at = seen.spot_reclaim_at
    left = f", in {max(0.0, (at - seen.at).total_seconds()):.0f} seconds" if at else ""
    facts = {"secondsLeft": f"{max(0.0, (at - seen.at).total_seconds()):.0f}"} if at else {}
    return (Note(type=EventType.RECLAIM_NOTIFIED, reason=f"the cloud takes its spot machine{left}", facts=facts),)


def _with_spot(seen: Seen, record: Record) -> Seen:
    """Only listings show the spot fields (documented): a get must not take a notice away."""
    last = record.seen
    if last is None or seen.spot_status:
        return seen
    return replace(seen, spot_status=last.spot_status, spot_reclaim_at=last.spot_reclaim_at)


def _is_asked_to_restart(record: Record) -> bool:
    """A restart was sent for the present wish. Without an answer a new time of start tells that it came about."""
    sent = record.mutation
    return sent is not None and sent.kind is MutationKind.RESTART and sent.generation == record.generation


def _began_anew(record: Record, seen: Seen) -> bool:
    return seen.last_started_at != (record.seen and record.seen.last_started_at)


def _is_believed(record: Record, seen: Seen) -> bool:
    """A listing that shows it running tells of this run, and is not from before our delete or the run before."""
    sent = record.mutation
    if sent and sent.kind is MutationKind.DELETE and not sent.refused:
        return False
    is_again = record.run.kind in {RunKind.START, RunKind.RESTART, RunKind.RECOVERY}
    return not is_again or _began_anew(record, seen)


def _runs(record: Record, at: datetime, *, restarted: bool) -> Record:
    assert record.machine
    run = record.run
    record = replace(record, machine=replace(record.machine, ran=True))
    if run.running_at or record.wants is not Wish.RUNNING:
        return record
    if run.sent_at is None and run.kind is RunKind.RESTART and not restarted:
        return record  # still the run before: the restart has not been asked for
    run = replace(run, sent_at=run.sent_at or at, running_at=at)
    recovering = record.recovering if record.recovering and record.recovering.begun_at else None
    return replace(record, run=run, started_at=at, ready_at=None, stopped_at=None, recovering=recovering)


def _exited(record: Record, at: datetime, job: MigrationJob | None, *, certain: bool) -> Learned:
    if record.wants is not Wish.RUNNING or record.failure:
        return Learned(record=replace(record, stopped_at=record.stopped_at or at))
    if not certain:
        return Learned(record=record)
    if record.run.running_at is None:
        return Learned(record=_migration_failed(record, job))
    exit_ = exit_of(record, at, job)
    if exit_.kind == "waits":
        return _moved_by_others(record, at, exit_.reason)
    if exit_.kind == "lost" and record.recovery.on_reclaim != "none":
        return Learned(record=lost(record, at, exit_.reason))
    reason = f"{exit_.reason}; recovery is off for it" if exit_.kind == "lost" else exit_.reason
    stopped = replace(without_recovery(record, Wish.STOPPED), wants=Wish.STOPPED, stopped_at=at, reason=reason)
    return Learned(record=stopped, notes=(Note(type=EventType.CHANGED_OUTSIDE, reason=reason),))


def _moved_by_others(record: Record, at: datetime, reason: str) -> Learned:
    """Its end is ours to see to, and within the time that a launch may take."""
    if record.recovery.on_reclaim == "none":
        return Learned(record=record)
    note = Note(type=EventType.CHANGED_OUTSIDE, reason=reason)
    return Learned(record=migrated_outside(record, at, reason), notes=(note,))


def _migration_failed(record: Record, job: MigrationJob | None) -> Record:
    """Of a recovery by migration: it goes on by a new machine."""
    recovering = record.recovering
    if recovering is None or not record.run.migrate or job is None or not job.has_failed:
        return record
    reason = f"its migration failed: {job.error or job.state}"
    return replace(record, recovering=replace(recovering, by="recreate"), reason=reason)


def _comes_up_again(record: Record, seen: Seen) -> Learned:
    reason = f"the cloud shows it as {seen.status}"
    run = Run(kind=RunKind.RESTART, asked_at=seen.at, sent_at=seen.at)
    after = replace(record, run=run, reason=reason)
    if seen.status == MIGRATING_STATUS and record.recovery.on_reclaim != "none":
        after = migrated_outside(record, seen.at, reason)
    return Learned(record=after, notes=(Note(type=EventType.CHANGED_OUTSIDE, reason=reason),))


def _not_found(record: Record, at: datetime) -> Learned:
    assert record.machine
    deletion = record.mutation
    accepted = deletion and deletion.kind is MutationKind.DELETE and deletion.answered_at and not deletion.refused
    if accepted or (record.seen and record.seen.status in GOING_STATUSES):
        return _gone(record, at)
    if may_lag(record, at):
        return Learned(record=record)
    return Learned(record=replace(record, missing_at=record.missing_at or at))


def _absent(record: Record, look: Look) -> Learned:
    if record.missing_at and look.began_at >= record.missing_at + CONFIRM_AFTER:
        return _gone(record, look.began_at)
    return Learned(record=record)


def _gone(record: Record, at: datetime, previous_at: datetime | None = None) -> Learned:
    """The cloud said that the machine is gone: what that means depends on who wanted it."""
    assert record.machine
    attempt = next(a for a in record.attempts if a.number == record.machine.attempt)
    ours = attempt.is_removed or (record.mutation is not None and record.mutation.kind is MutationKind.DELETE)
    attempt = replace(attempt, gone_at=at)
    record = replace(
        record.with_attempt(attempt),
        machine=None,
        seen=None,
        missing_at=None,
        mutation=None,
        bill=metered(record, Seen(at=at, status=GONE_STATUS), previous_at),
    )
    if record.recovering:
        return _gone_in_recovery(record, attempt, at, ours=ours)
    if record.wants is Wish.DELETED:
        return Learned(record=replace(record, deleted_at=at))
    if not ours:
        reason = "its machine was removed in the cloud"
        record = record.with_attempt(replace(attempt, vanished_at=at))
        return Learned(
            record=replace(record, wants=Wish.DELETED, deleted_at=at, reason=reason),
            notes=(Note(type=EventType.CHANGED_OUTSIDE, reason=reason),),
        )
    if record.wants is Wish.STOPPED or record.failure:
        return Learned(record=replace(record, stopped_at=at))
    stuck = replace(attempt, refusal=Refusal.STUCK, message="its machine never ran")
    return Learned(record=replace(record.with_attempt(stuck), run=replace(record.run, sent_at=None, limit_from=at)))


def _gone_in_recovery(record: Record, attempt: Attempt, at: datetime, *, ours: bool) -> Learned:
    """What was taken, or its replacement, went. While one is wanted another is tried; else the former one is back."""
    recovering = record.recovering
    assert recovering
    if record.wants is not Wish.RUNNING or record.failure:
        if recovering.former:
            return Learned(record=taken_back(record))
        closed = at if record.wants is Wish.DELETED else None
        return Learned(record=replace(record, deleted_at=closed, stopped_at=record.stopped_at or at, recovering=None))
    record = replace(record, recovering=replace(recovering, by="recreate"))
    if ours:
        stuck = replace(attempt, refusal=Refusal.STUCK, message="its machine never ran")
        return Learned(record=replace(record.with_attempt(stuck), run=replace(record.run, sent_at=None, limit_from=at)))
    record = record.with_attempt(replace(attempt, vanished_at=at))
    if not record.run.migrate:  # a replacement: another one is another recovery, which waits for its time and counts
        record = lost_again(record, at)
    reason = "its machine was removed in the cloud"
    return Learned(record=record, notes=(Note(type=EventType.CHANGED_OUTSIDE, reason=reason),))
