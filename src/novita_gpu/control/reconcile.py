"""One pass over one instance: look, decide, do one thing, write it down."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError
from novita_gpu.contract import time_text
from novita_gpu.control.bell import Bell
from novita_gpu.control.image import Imager
from novita_gpu.control.inspection import Inspector
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher
from novita_gpu.control.ledger import Ledger
from novita_gpu.control.listening import Listening
from novita_gpu.control.measure import measured
from novita_gpu.control.mutation import CONTROL, Mutator
from novita_gpu.control.probe import Prober
from novita_gpu.control.warning import warned
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.answers import (
    adopted,
    ended_by_policy,
    failed,
    settled,
)
from novita_gpu.domain.case import NONE_KNOWN, Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.instance import (
    InstanceId,
    Record,
    Wish,
    is_moving,
)
from novita_gpu.domain.learn import Learned, Note, learn
from novita_gpu.domain.limits import Limits
from novita_gpu.domain.look import Look
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
    LookAtImage,
    Measure,
    Postpone,
    Probe,
    Recover,
    Rest,
    SaveImage,
    Settle,
    Step,
    TakeBack,
    Warn,
    WarnDearer,
    WarnDiscard,
)
from novita_gpu.observe import correlate
from novita_gpu.observe.tracing import span
from novita_gpu.store import Store
from novita_gpu.store.base import InUse, Stale

# A get that had no answer is tried again after this.
LOOK_AGAIN = timedelta(seconds=5)


# The record as written, and when the next pass is due.
Written = tuple[Record, datetime | None]


class Reconciler:
    """Passes over instances. The doorbell sees to it that no two run over one instance at a time."""

    def __init__(
        self,
        *,
        store: Store,
        cloud: Cloud,
        launcher: Launcher,
        mutator: Mutator,
        imager: Imager,
        prober: Prober,
        journal: Journal,
        listening: Listening,
        bell: Bell,
        policy: Policy,
        moving: timedelta,
        now: Callable[[], datetime],
        decided: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`decided` is told the kind of each step."""
        self._store, self._cloud, self._launcher, self._prober = store, cloud, launcher, prober
        self._journal, self._listening, self._bell = journal, listening, bell
        self._policy, self._moving = policy, moving
        self._now, self._decided = now, decided
        self._mutator, self._imager = mutator, imager
        self._inspector = Inspector(cloud, policy.settle, now)
        self._ledger = Ledger(store)

    async def reconcile(self, instance: InstanceId) -> None:
        """One pass. A record that moved on while it was decided about is decided about anew."""
        record = await self._store.records.load(instance)
        if record is None:
            return
        correlate(record.correlation or record.operation, instance_id=record.id, operation_id=record.operation)
        try:
            with span("pass", instance_id=record.id, operation_id=record.operation):
                after, until = await self._pass(record)
        except (Stale, InUse):
            await self._bell.ring(instance)
            return
        await self._wake(after, until)

    async def _pass(self, before: Record) -> Written:
        look = await self._store.looks.look(before)
        heard = Heard(last=await self._store.records.activity(before.id), since=await self._listening.since())
        orphans = await self._orphans(before, look)
        learned = learn(before, look, self._policy.settle)
        step = self._decide(learned, look, heard, orphans)
        if isinstance(step, Change) and step.orphan and not await self._ledger.may_remove(step.machine, self._now()):
            step = Rest(reason="an orphan waits: enough were removed this hour")
        if isinstance(step, Inspect) or await self._needs_a_fresh_look(step, learned.record):
            learned, look = await self._inspector.inspect(learned)
            step = self._decide(learned, look, heard, orphans)
            if isinstance(step, Inspect):
                step = Rest(until=self._now() + LOOK_AGAIN, reason=step.reason)
        self._decided(type(step).__name__.lower())
        return await self._do(before, learned, step)

    def _decide(self, learned: Learned, look: Look | None, heard: Heard, orphans: Orphans) -> Step:
        return decide(learned.record, look, self._now(), self._policy, heard=heard, orphans=orphans)

    async def _orphans(self, record: Record, look: Look | None) -> Orphans:
        """Asked for only where one of them may be this record's."""
        rows = look.marked if look else ()
        if any(standing(record, row) is Standing.ORPHAN for row in rows):
            return await self._ledger.orphans()
        return NONE_KNOWN

    async def _do(self, before: Record, learned: Learned, step: Step) -> Written:
        record, now = learned.record, self._now()
        match step:
            case Rest():
                return await self._settle_down(before, learned, step)
            case Launch():
                return await self._launcher.launch(before, learned), now
            case Change():
                return await self._called(before, learned, self._mutator.mutate(before, learned, step))
            case SaveImage():
                return await self._called(before, learned, self._save_image(before, learned))
            case LookAtImage():
                return await self._imager.look(before, learned), now
            case Probe():
                return await self._probe(before, learned)
            case Adopt():
                found = adopted(record, step.attempt, step.row.id, now)
                note = Note(type=EventType.ADOPTED, reason=f"{step.row.id}: {step.reason}")
                return await self._write(before, plus(learned, found, note), now), now
            case Settle():
                done = settled(record, step.attempt)
                return await self._write(before, plus(learned, done.record, *done.notes), now), now
            case Close():
                return await self._write(before, plus(learned, replace(record, deleted_at=now)), None), None
            case Fail():
                after = failed(record, step.code, step.reason, now)
                return await self._write(before, plus(learned, after), now), now
            case Postpone():
                waits = replace(record, run=replace(record.run, not_before=step.until), reason=postponed(step))
                return await self._write(before, plus(learned, waits), step.until), step.until
            case Recover():
                return await self._recover(before, learned, step), now
            case TakeBack():
                return await self._write(before, plus(learned, taken_back(record)), now), now
            case Measure():
                return await self._measure(before, learned)
            case Warn() | WarnDiscard() | WarnDearer():
                return await self._write(before, warned(learned, step, now), now), now
            case Idle() | Discard():
                return await self._end(before, learned, step), now
            case Inspect():
                return await self._settle_down(before, learned, Rest(until=now + LOOK_AGAIN, reason=step.reason))

    async def _called(self, before: Record, learned: Learned, call: Awaitable[Written]) -> Written:
        """What the cloud lets nobody ask for now is asked for later."""
        try:
            return await call
        except CloudError as error:
            until = self._now() + (error.retry_after or LOOK_AGAIN)
            return await self._settle_down(before, learned, Rest(until=until, reason=error.message))

    async def _save_image(self, before: Record, learned: Learned) -> Written:
        return await self._imager.save(before, learned), self._now()

    async def _settle_down(self, before: Record, learned: Learned, step: Rest) -> Written:
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

    async def _probe(self, before: Record, learned: Learned) -> Written:
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
        return await self._journal.write(self._journal.change(before, plus(learned, after), cause, now))

    async def _measure(self, before: Record, learned: Learned) -> Written:
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
            plus(learned, replace(after, due=self._now())),
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


def plus(learned: Learned, record: Record, *notes: Note) -> Learned:
    return Learned(record=record, notes=(*learned.notes, *notes))
