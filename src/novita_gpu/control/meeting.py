"""The way back: what was kept in a private store while the shared one was out is written there, once.

Every step may be repeated: a process that is killed in the midst of it begins again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from msgspec.structs import replace

from novita_gpu.control.journal import Journal
from novita_gpu.control.parting import KEYS, PARTED, Base, base_of, chunks, copy
from novita_gpu.control.same_request import SameRequest
from novita_gpu.domain.events import Cause, Event, EventType
from novita_gpu.domain.instance import InstanceId, Record, status
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.merge import merged
from novita_gpu.domain.tally import counted
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import Change, Delivery, HadAlready, NameTaken, NotRunning, Stale

log = structlog.get_logger()

CAUSE = Cause(actor="sync", reason="the shared store is back")
PAGE = 500
# Races lost to others who commit to the same record, and names that are taken, before it is given up for now.
TRIES = 50


class Met(Value, frozen=True, kw_only=True):
    """How many records were written, of those how many as new ones and how many under another name."""

    records: int = 0
    new: int = 0
    renamed: int = 0

    def __add__(self, other: "Met") -> "Met":
        return Met(records=self.records + other.records, new=self.new + other.new, renamed=self.renamed + other.renamed)


class Meeting:
    """`journal` writes to the shared store."""

    def __init__(self, private: Store, shared: Store, journal: Journal, now: Callable[[], datetime]) -> None:
        self._private, self._shared, self._journal, self._now = private, shared, journal, now
        self._requests = SameRequest(private, shared, journal, now)
        self._events: dict[InstanceId, list[Event]] = defaultdict(list)
        self._open: dict[str, list[Delivery]] = defaultdict(list)

    async def meet(self) -> Met:
        """Raises the stores' errors; what was written by then is not written again."""
        private, session = self._private, await self._private.facts.fact(PARTED)
        if session is None:
            return Met()
        await self._shared.facts.raise_sequence(await private.records.last_sequence())
        await self._read()
        await self._revoke()
        await self._requests.bring()
        mets: list[Met] = []
        for chunk in chunks(await private.records.load_many(await private.records.all_ids())):
            mets += await _all(self._met(record, session) for record in chunk)
        await self._touch()
        return sum(mets, Met())

    async def _read(self) -> None:
        """The events of this time, and the deliveries that are open still. What belongs to no record goes first."""
        before: int | None = None
        while True:
            page, before = await self._private.deliveries.newest(PAGE, before)
            for delivery in page:
                if delivery.state == "pending":
                    self._open[delivery.event_id].append(delivery)
            if before is None:
                break
        after = 0
        while events := await self._private.events.read(after, PAGE):
            for event in events:
                if event.instance_id:
                    self._events[event.instance_id].append(event)
                else:
                    await self._shared.events.append(event, self._open[event.id])
            after = events[-1].sequence

    async def _revoke(self) -> None:
        """The keys of the API that were revoked here let nobody in there; new ones are not made here."""
        await self._private.api_keys.load()
        for key_id in (await self._private.facts.fact(KEYS) or "").split():
            if self._private.api_keys.named(key_id) is None:
                await self._shared.api_keys.remove(key_id)

    async def _met(self, record: Record, session: str) -> Met:
        """What was written there is copied anew: whatever moves here from then on, moves on from that. One that moved
        just now is left to the next time.
        """
        base = await base_of(record, self._private)
        if base is None:
            await self._requests.undo(record)
        try:
            ours = record if base or record.base is not None else await self._let_go_of(record)
        except Stale:
            return Met()
        written = await self._written(ours, base, f"meet:{session}:{record.id}:{ours.revision}")
        if written is None:
            return Met()
        with suppress(Stale):
            await copy(written, self._private, ours)
        return Met(records=1, new=int(base is None), renamed=int(written.name != record.name))

    async def _let_go_of(self, record: Record) -> Record:
        """From here on nothing is bought for it from the private store: others may, once it is in the shared one."""
        return await self._private.records.commit(
            Change(id=f"let-go:{record.id}", before=record, after=replace(record, base=record.revision))
        )

    async def _written(self, ours: Record, base: Base | None, commit: str) -> Record | None:
        """None: it never moved here, or is closed and forgotten there."""
        name = ours.name
        for number in range(2, TRIES + 2):
            theirs = await self._shared.records.load(ours.id)
            change = await self._change(ours, base, theirs, name)
            if change is None:
                return None
            try:
                return await self._shared.records.commit(replace(change, id=commit))
            except Stale:
                continue
            except NameTaken:
                name = f"{ours.name}-{number}"
            except HadAlready as fault:
                log.warning("meeting.machine_has_another", instance_id=ours.id, reason=str(fault))
                return None
        raise Stale(f"{ours.id} moved on {TRIES} times while it was being merged")

    async def _change(self, ours: Record, base: Base | None, theirs: Record | None, name: str) -> Change | None:
        events = await self._untold(ours.id) if theirs else self._events[ours.id]
        if base and base.is_copied_as(ours) and not events and theirs:
            return None
        if theirs is None:
            return None if base and ours.deleted_at else self._as_new(ours, name, events)
        after = merged(base.record if base else _unheard(ours, theirs), ours, theirs)
        if status(after) is status(ours):
            return self._told(theirs, after, events)
        change = self._journal.change(ours, after, CAUSE, self._now())
        return self._told(theirs, change.after, [*events, *change.events], change.deliveries)

    async def _untold(self, instance: InstanceId) -> list[Event]:
        """Events of this time that the shared store does not have: by an earlier try, from another who was away, or of
        before, unheard here. So the whole timeline is looked at.
        """
        ours = self._events[instance]
        after, known = 0, set[str]()
        while ours and (page := await self._shared.events.read(after, PAGE, instance_id=instance)):
            known |= {event.id for event in page}
            after = page[-1].sequence
        return [event for event in ours if event.id not in known]

    def _as_new(self, ours: Record, name: str, events: Sequence[Event]) -> Change:
        """Made here, or lost there. The living one that has its name keeps it."""
        after = replace(ours, base=None, name=name)
        if name == ours.name:
            return self._told(None, after, events)
        note = Note(type=EventType.RENAMED, reason=f"{ours.name} is the name of another one; it is {name} now")
        change = self._journal.change(ours, Learned(record=after, notes=(note,)), CAUSE, self._now())
        return self._told(None, change.after, [*events, *change.events], change.deliveries)

    def _told(
        self, before: Record | None, after: Record, events: Sequence[Event], deliveries: Iterable[Delivery] = ()
    ) -> Change:
        """With the events of this time, and what of them is not delivered yet. A pass is due: it may have waited."""
        still_open = [delivery for event in events for delivery in self._open[event.id]]
        return Change(
            before=before,
            after=replace(after, due=self._now()),
            events=tuple(events),
            deliveries=(*still_open, *deliveries),
            counts=counted(before, after, events),
        )

    async def _touch(self) -> None:
        ids = await self._private.records.living()
        for instance, at in (await self._private.records.activities(ids)).items():
            try:
                await self._shared.records.touch(instance, at)
            except NotRunning:
                continue


def _unheard(ours: Record, theirs: Record) -> Record:
    """What one that was made here began with there: it was written before, and the answer was not heard."""
    return theirs if ours.generation > theirs.generation else ours


async def _all(calls: Iterable[Awaitable[Met]]) -> list[Met]:
    """Each is over when this is, also where one failed: nothing is written behind the back of what follows."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    failed = next((one for one in found if isinstance(one, BaseException)), None)
    if failed:
        raise failed
    return [one for one in found if isinstance(one, Met)]
