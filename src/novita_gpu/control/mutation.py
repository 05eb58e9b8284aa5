"""A mutation of a machine that exists: intent, call, answer."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import MUTATION_TIMEOUT, Cloud, Lane
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import remember_empty
from novita_gpu.control.replies import replied
from novita_gpu.domain.answers import Meaning, Reply, mutation_answered, no_room
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.instance import TRIES_UNTOLD, Mutation, MutationKind, Record
from novita_gpu.domain.learn import Learned, Note, plus
from novita_gpu.domain.limits import UNLIMITED, Limits, over_price
from novita_gpu.domain.steps import Change
from novita_gpu.store import Store
from novita_gpu.store.base import OverLimit

log = structlog.get_logger()

_SAVING = frozenset({MutationKind.STOP, MutationKind.DELETE})
# What makes a stopped machine bill again.
_UPWARD = frozenset({MutationKind.START, MutationKind.MIGRATE})
CONTROL = Cause(actor="control")


class Mutator:
    def __init__(
        self,
        store: Store,
        cloud: Cloud,
        journal: Journal,
        *,
        limits: Limits = UNLIMITED,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self._store, self._cloud, self._journal = store, cloud, journal
        self._limits, self._now, self._new_id = limits, now, new_id
        self._mutation_timeout = mutation_timeout

    async def mutate(self, before: Record, learned: Learned, step: Change) -> tuple[Record, datetime | None]:
        """The record as written, and when the next pass is due.

        Raises `CloudError` where no call may be made now, with nothing written, and the store's `Stale`.
        """
        lane = Lane.SAVING if step.kind in _SAVING else Lane.SPENDING
        machine = learned.record.machine
        dear = over_price(machine.offer.units_per_hour, self._limits) if machine and _is_upward(step) else None
        if dear:
            return await self._wait_for_room(before, learned, dear)
        try:
            async with self._cloud.permit(lane):
                return await self._sent(before, learned, step), self._now()
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
        stored = await self._write(before, plus(learned, intended, *_told_of(step)), mutation.deadline, limits)
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

    async def _write(
        self, before: Record, learned: Learned, due: datetime | None, limits: Limits | None = None
    ) -> Record:
        """Raises `OverLimit`, with nothing written, where `limits` have no room for it."""
        learned = replace(learned, record=replace(learned.record, due=due))
        return await self._journal.write(self._journal.change(before, learned, CONTROL, self._now(), limits=limits))


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
