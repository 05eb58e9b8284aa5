"""One pass over one instance: look, decide, do one thing, write it down."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import MUTATION_TIMEOUT, Cloud, CloudError, Detail, Lane, NotFound
from novita_gpu.contract import time_text
from novita_gpu.control.bell import Bell
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher, remember_empty
from novita_gpu.control.ledger import Ledger
from novita_gpu.control.listening import Listening
from novita_gpu.control.measure import measured
from novita_gpu.control.probe import Prober
from novita_gpu.control.replies import replied
from novita_gpu.control.warning import warned
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.answers import (
    Meaning,
    Reply,
    adopted,
    ended_by_policy,
    failed,
    mutation_answered,
    no_room,
    settled,
)
from novita_gpu.domain.case import NONE_KNOWN, Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.instance import (
    EXITED_STATUS,
    TRIES_UNTOLD,
    InstanceId,
    Mutation,
    MutationKind,
    Record,
    Wish,
    is_moving,
)
from novita_gpu.domain.learn import Learned, Note, learn
from novita_gpu.domain.limits import UNLIMITED, Limits, over_price
from novita_gpu.domain.look import Look, MigrationJob
from novita_gpu.domain.orphans import Orphans, Standing, standing
from novita_gpu.domain.readiness import probed, targets
from novita_gpu.domain.recovery import begun, taken_back
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
    Postpone,
    Probe,
    Recover,
    Rest,
    Settle,
    Step,
    TakeBack,
    Warn,
    WarnDiscard,
)
from novita_gpu.observe import correlate
from novita_gpu.store import Store
from novita_gpu.store.base import InUse, OverLimit, Stale

log = structlog.get_logger()

_SAVING = frozenset({MutationKind.STOP, MutationKind.DELETE})
MIGRATIONS = ("instanceMigrate", "autoInstanceMigrate")
UNDER_WAY = frozenset({"pulling", "running"})
# What makes a stopped machine bill again.
_UPWARD = frozenset({MutationKind.START, MutationKind.MIGRATE})
# A get that had no answer is tried again after this.
LOOK_AGAIN = timedelta(seconds=5)
# What its jobs would tell is waited for so long after it exited; then it is judged without.
JOBS_WITHIN = timedelta(minutes=10)
CONTROL = Cause(actor="control")


class Reconciler:
    """Passes over instances. The doorbell sees to it that no two run over one instance at a time."""

    def __init__(
        self,
        *,
        store: Store,
        cloud: Cloud,
        launcher: Launcher,
        prober: Prober,
        journal: Journal,
        listening: Listening,
        bell: Bell,
        policy: Policy,
        limits: Limits = UNLIMITED,
        moving: timedelta,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self._store, self._cloud, self._launcher, self._prober = store, cloud, launcher, prober
        self._journal, self._listening, self._bell = journal, listening, bell
        self._policy, self._moving = policy, moving
        self._limits, self._now, self._new_id = limits, now, new_id
        self._mutation_timeout = mutation_timeout
        self._ledger = Ledger(store)

    async def reconcile(self, instance: InstanceId) -> None:
        """One pass. A record that moved on while it was decided about is decided about anew."""
        record = await self._store.records.load(instance)
        if record is None:
            return
        correlate(record.correlation or record.operation, instance=record.id, operation=record.operation)
        try:
            after, until = await self._pass(record)
        except (Stale, InUse):
            await self._bell.ring(instance)
            return
        await self._wake(after, until)

    async def _pass(self, before: Record) -> tuple[Record, datetime | None]:
        look = await self._store.looks.look(before)
        heard = Heard(last=await self._store.records.activity(before.id), since=await self._listening.since())
        orphans = await self._orphans(before, look)
        learned = learn(before, look, self._policy.settle)
        step = self._decide(learned, look, heard, orphans)
        if isinstance(step, Change) and step.orphan and not await self._ledger.may_remove(step.machine, self._now()):
            step = Rest(reason="an orphan waits: enough were removed this hour")
        if isinstance(step, Inspect) or await self._needs_a_fresh_look(step, learned.record):
            learned, look = await self._inspect(learned)
            step = self._decide(learned, look, heard, orphans)
            if isinstance(step, Inspect):
                step = Rest(until=self._now() + LOOK_AGAIN, reason=step.reason)
        return await self._do(before, learned, step)

    def _decide(self, learned: Learned, look: Look | None, heard: Heard, orphans: Orphans) -> Step:
        return decide(learned.record, look, self._now(), self._policy, heard=heard, orphans=orphans)

    async def _orphans(self, record: Record, look: Look | None) -> Orphans:
        """Asked for only where one of them may be this record's."""
        rows = look.marked if look else ()
        if any(standing(record, row) is Standing.ORPHAN for row in rows):
            return await self._ledger.orphans()
        return NONE_KNOWN

    async def _do(self, before: Record, learned: Learned, step: Step) -> tuple[Record, datetime | None]:
        """The record as written, and when the next pass is due."""
        record, now = learned.record, self._now()
        match step:
            case Rest():
                return await self._settle_down(before, learned, step)
            case Launch():
                return await self._launcher.launch(before, learned), now
            case Change():
                return await self._mutate(before, learned, step)
            case Probe():
                return await self._probe(before, learned)
            case Adopt():
                found = adopted(record, step.attempt, step.row.id, now)
                note = Note(type=EventType.ADOPTED, reason=f"{step.row.id}: {step.reason}")
                return await self._write(before, _plus(learned, found, note), now), now
            case Settle():
                done = settled(record, step.attempt)
                return await self._write(before, _plus(learned, done.record, *done.notes), now), now
            case Close():
                return await self._write(before, _plus(learned, replace(record, deleted_at=now)), None), None
            case Fail():
                log.warning("instance.failing", code=step.code, reason=step.reason)
                after = failed(record, step.code, step.reason, now)
                return await self._write(before, _plus(learned, after), now), now
            case Postpone():
                waits = replace(record, run=replace(record.run, not_before=step.until), reason=postponed(step))
                return await self._write(before, _plus(learned, waits), step.until), step.until
            case Recover():
                return await self._recover(before, learned, step), now
            case TakeBack():
                return await self._write(before, _plus(learned, taken_back(record)), now), now
            case Measure():
                return await self._measure(before, learned)
            case Warn() | WarnDiscard():
                return await self._write(before, warned(learned, step, now), now), now
            case Idle() | Discard():
                return await self._end(before, learned, step), now
            case Inspect():
                return await self._settle_down(before, learned, Rest(until=now + LOOK_AGAIN, reason=step.reason))

    async def _settle_down(self, before: Record, learned: Learned, step: Rest) -> tuple[Record, datetime | None]:
        """Nothing to do: what was learned is written if it is more than the time of a look."""
        after = replace(learned.record, due=step.until)
        if _same(before, after) and not learned.notes:
            return before, step.until
        return await self._write(before, learned, step.until), step.until

    async def _needs_a_fresh_look(self, step: Step, record: Record) -> bool:
        """Before a mutation, when the last look is older than one interval of listings."""
        if not isinstance(step, Change) or step.twin or record.seen is None:
            return False
        mark = await self._store.looks.mark()
        interval = timedelta(seconds=mark.interval_s) if mark else self._moving
        return self._now() - record.seen.at > interval + self._moving

    async def _inspect(self, learned: Learned) -> tuple[Learned, Look | None]:
        """One get, learned from. Without an answer nothing is known that was not known before."""
        machine = learned.record.machine
        assert machine
        began = self._now()
        try:
            detail = await self._cloud.get(machine.id)
        except NotFound:
            look = Look(began_at=began, complete=False, not_found=True, from_get=True)
            return _joined(learned, learn(learned.record, look, self._policy.settle)), look
        except CloudError as error:
            log.info("look.failed", error=error.message)
            return learned, None
        try:
            job = await self._job(learned.record, detail)
        except CloudError as error:
            log.info("jobs.failed", error=error.message)
            stopped_at = detail.row.seen.last_stopped_at
            is_late = stopped_at is not None and began > stopped_at + JOBS_WITHIN
            if learned.record.run.running_at and not is_late:
                return learned, None
            job = None
        look = Look(began_at=began, complete=False, row=detail.row, from_get=True, job=job)
        seen = _joined(learned, learn(learned.record, look, self._policy.settle))
        return replace(seen, record=_connected(seen.record, detail)), look

    async def _job(self, record: Record, detail: Detail) -> MigrationJob | None:
        """The newest migration of this run's machine, asked for where it has exited though it is meant to run."""
        if detail.row.seen.status != EXITED_STATUS or record.wants is not Wish.RUNNING or record.failure:
            return None
        since = record.run.asked_at.replace(microsecond=0)  # the cloud's times are whole seconds
        found = [job for type_ in MIGRATIONS for job in await self._cloud.jobs(type=type_, since=since)]
        own = [job for job in found if job.instance == detail.row.id and job.created_at and job.created_at >= since]
        newest = max(own, key=lambda job: (job.created_at or since, job.state in UNDER_WAY), default=None)
        return newest and MigrationJob(id=newest.id, state=newest.state, error=newest.error)

    async def _mutate(self, before: Record, learned: Learned, step: Change) -> tuple[Record, datetime | None]:
        lane = Lane.SAVING if step.kind in _SAVING else Lane.SPENDING
        machine = learned.record.machine
        dear = over_price(machine.offer.units_per_hour, self._limits) if machine and _is_upward(step) else None
        if dear:
            return await self._wait_for_room(before, learned, dear)
        try:
            async with self._cloud.permit(lane):
                return await self._sent(before, learned, step), self._now()
        except CloudError as error:
            until = self._now() + (error.retry_after or LOOK_AGAIN)
            return await self._settle_down(before, learned, Rest(until=until, reason=error.message))
        except OverLimit as limit:
            return await self._wait_for_room(before, learned, str(limit))

    async def _wait_for_room(self, before: Record, learned: Learned, why: str) -> tuple[Record, datetime | None]:
        waits = no_room(learned, why, self._now())
        until = waits.record.run.not_before
        return await self._write(before, waits, until), until

    async def _sent(self, before: Record, learned: Learned, step: Change) -> Record:
        """Intent, call, answer. The intent is stored first, so that a crash has one place to have happened."""
        mutation, upward = self._intent(learned.record, step), _is_upward(step)
        field = "twin_removal" if step.twin else "mutation"
        intended = replace(learned.record, **{field: mutation})
        if upward:
            intended = replace(intended, run=replace(intended.run, no_room=False))
        limits = self._limits if upward else None
        stored = await self._write(before, _plus(learned, intended, *_told_of(step)), mutation.deadline, limits)
        reply = await self._call(step)
        log.info("mutation.answered", kind=step.kind, meaning=reply.meaning, reason=step.reason)
        written = await self._journal.fact(
            stored.id, lambda now: mutation_answered(now, mutation, reply), CONTROL, reply.at
        )
        if reply.meaning is Meaning.CAPACITY and step.kind is MutationKind.START and stored.machine:
            await remember_empty(self._store, stored.machine.offer, reply.at)
        return written or stored

    def _intent(self, record: Record, step: Change) -> Mutation:
        now = self._now()
        return Mutation(
            id=self._new_id("mut"),
            kind=step.kind,
            machine=step.machine,
            generation=record.generation,
            at=now,
            deadline=now + self._mutation_timeout,
            tries=step.tries,
        )

    async def _call(self, step: Change) -> Reply:
        calls = {
            MutationKind.START: self._cloud.start,
            MutationKind.STOP: self._cloud.stop,
            MutationKind.RESTART: self._cloud.restart,
            MutationKind.MIGRATE: self._cloud.migrate,
            MutationKind.DELETE: self._cloud.delete,
        }

        async def call() -> None:
            await calls[step.kind](step.machine)

        return await replied(call(), self._now)

    async def _probe(self, before: Record, learned: Learned) -> tuple[Record, datetime | None]:
        """Ask its endpoints. That it runs is written first: an answer may take long."""
        stored = before
        if not _same(before, learned.record) or learned.notes:
            stored = await self._write(before, learned, self._now())
        results = await self._prober.probe(targets(stored), stored.health_check)
        now = self._now()
        return await self._write(stored, probed(stored, results, now), now), now

    async def _recover(self, before: Record, learned: Learned, step: Recover) -> Record:
        now = self._now()
        after = replace(begun(learned.record, step.by, now, self._journal.operation()), due=now)
        cause = Cause(actor="recovery", reason=step.reason)
        return await self._journal.write(self._journal.change(before, _plus(learned, after), cause, now))

    async def _measure(self, before: Record, learned: Learned) -> tuple[Record, datetime | None]:
        """Read its GPU use; the next pass decides what follows."""
        gpu = await measured(self._cloud, learned.record, self._now())
        after = replace(learned.record, run=replace(learned.record.run, gpu=gpu))
        now = self._now()
        return await self._write(before, replace(learned, record=after), now), now

    async def _end(self, before: Record, learned: Learned, step: Idle | Discard) -> Record:
        """Its own policy changes the wish. Idleness only if no heartbeat came since it was weighed; from here on
        heartbeats are refused.
        """
        wish = Wish.STOPPED if isinstance(step, Idle) else Wish.DELETED
        after = ended_by_policy(learned.record, wish, self._journal.operation(), step.reason)
        change = self._journal.change(
            before,
            _plus(learned, replace(after, due=self._now())),
            Cause(actor="auto-stop", reason=step.reason),
            self._now(),
            weighs_activity=isinstance(step, Idle) and step.rule == "idle",
            weighed_activity=step.weighed if isinstance(step, Idle) else None,
        )
        return await self._journal.write(change)

    async def _write(
        self, before: Record, learned: Learned, due: datetime | None, limits: Limits | None = None
    ) -> Record:
        """`due` is stored with the rest: a ring that is lost on the way is made up for by the next listing."""
        learned = replace(learned, record=replace(learned.record, due=due))
        return await self._journal.write(self._journal.change(before, learned, CONTROL, self._now(), limits=limits))

    async def _wake(self, record: Record, until: datetime | None) -> None:
        """Set what wakes the next pass: a ring if it is due, else an alarm; and a listing soon while it moves."""
        if until and until <= self._now():
            await self._bell.ring(record.id)
        elif until:
            await self._bell.alarm(record.id, until)
        if is_moving(record):
            await self._bell.look(self._now() + self._moving)


def postponed(step: Postpone) -> str:
    return f"{step.reason}; it is brought back at {time_text(step.until)}"


def _same(before: Record, after: Record) -> bool:
    """They differ in nothing but the time of the last look."""
    if before.seen and after.seen:
        after = replace(after, seen=replace(after.seen, at=before.seen.at))
    return before == after


def _plus(learned: Learned, record: Record, *notes: Note) -> Learned:
    return Learned(record=record, notes=(*learned.notes, *notes))


def _joined(first: Learned, second: Learned) -> Learned:
    return Learned(record=second.record, notes=(*first.notes, *second.notes))


def _is_upward(step: Change) -> bool:
    return step.kind in _UPWARD and not step.twin


def _told_of(step: Change) -> tuple[Note, ...]:
    """What is done to a machine that is not the record's own is told with the intent, an orphan's removal once.

    And what was asked for in vain so often that it keeps billing.
    """
    if step.kind in _SAVING and step.tries == TRIES_UNTOLD + 1:
        asked = f"{step.kind} was asked for {TRIES_UNTOLD} times and {step.machine} still bills; it is asked for again"
        return (Note(type=EventType.STILL_BILLING, reason=asked),)
    if not step.twin or (step.orphan and step.tries > 1):
        return ()
    type_ = EventType.ORPHAN_REMOVED if step.orphan else EventType.TWIN_FOUND
    return (Note(type=type_, reason=f"{step.machine}: {step.reason}"),)


def _connected(record: Record, detail: Detail) -> Record:
    """Connection details belong to the run that was seen running."""
    if record.run.running_at is None:
        return record
    return replace(record, run=replace(record.run, connection=detail.connection))
