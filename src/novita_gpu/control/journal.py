"""A record's before and after, told as one commit: state, events and deliveries together."""

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from novita_gpu.contract import instance_view
from novita_gpu.control.bell import Bell
from novita_gpu.control.difference import difference
from novita_gpu.domain.events import DELIVERED, OF_STATUS, Cause, Event, EventType
from novita_gpu.domain.idle import DEFAULT, IdlePolicy
from novita_gpu.domain.instance import InstanceId, Record, status
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.limits import Limits
from novita_gpu.domain.tally import counted
from novita_gpu.domain.telling import event_id, with_told
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.base import Answer, Change, Claim, Delivery, addressed


class Journal:
    """Writes changes. `new_id(prefix)` makes ids; `default_receiver` takes what has no receiver of its own."""

    def __init__(
        self,
        store: Store,
        bell: Bell,
        new_id: Callable[[str], str],
        default_receiver: str | None,
        idle: IdlePolicy = DEFAULT,
    ) -> None:
        self._idle = idle
        self._records, self._view, self._bell = store.records, store.view, bell
        self._new_id = new_id
        self._default_receiver = default_receiver

    async def write(self, change: Change) -> Record:
        """Commit, and tell of it. Raises as `Records.commit` does."""
        record = await self._records.commit(change)
        await self._tell(change.events)
        return record

    async def _tell(self, events: tuple[Event, ...]) -> None:
        """A line in the log for each, and a ring for what is to be delivered."""
        tell(*events)
        if _is_delivered(events):
            await self._bell.outbox()

    async def fact(
        self, instance: InstanceId, learn: Callable[[Record], Learned], cause: Cause, at: datetime
    ) -> Record | None:
        """Write a fact into whatever the record has become: the guard throws away decisions, never answers.

        A pass is due at once to see what follows from it.
        """
        events: tuple[Event, ...] = ()

        def change_of(record: Record) -> Change | None:
            nonlocal events
            events, learned = (), learn(record)
            if learned.record == record and not learned.notes:
                return None
            due = replace(learned, record=replace(learned.record, due=at))
            change = self.change(record, due, cause, at)
            events = change.events
            return change

        record = await self._records.update(instance, change_of)
        await self._tell(events)
        return record

    def operation(self) -> str:
        return self._new_id("op")

    def change(
        self,
        before: Record | None,
        after: Record | Learned,
        cause: Cause,
        at: datetime,
        *,
        claim: Claim | None = None,
        answer: Answer | None = None,
        weighs_activity: bool = False,
        weighed_activity: datetime | None = None,
        limits: Limits | None = None,
    ) -> Change:
        """One commit with an event for each note and one for a changed status, addressed to their receivers."""
        learned = after if isinstance(after, Learned) else Learned(record=after)
        record = replace(learned.record, updated_at=at)
        shown = instance_view(record, heard=self._view.heard(record.id), idle=self._idle)
        snapshot = Raw(msgspec.json.encode(shown))
        events = tuple(self._events(before, replace(learned, record=record), cause, at, snapshot))
        return Change(
            before=before,
            after=with_told(record, *(event.type for event in events)),
            events=events,
            deliveries=tuple(d for e in events if (d := self._delivery(record, e))),
            claim=claim,
            answer=answer,
            guards_activity=weighs_activity,
            weighed_activity=weighed_activity,
            limits=limits,
            counts=counted(before, record, events),
        )

    def _events(
        self, before: Record | None, learned: Learned, cause: Cause, at: datetime, snapshot: Raw
    ) -> Iterator[Event]:
        record = learned.record
        previous = status(before) if before else None
        told: list[tuple[EventType, str | None, dict[str, str]]] = [(n.type, n.reason, n.facts) for n in learned.notes]
        if status(record) is not previous:
            told.append((OF_STATUS[status(record)], cause.reason or record.reason, {}))
        for type_, reason, facts in told:
            yield Event(
                id=event_id(record, type_),
                type=type_,
                at=at,
                actor=cause.actor,
                instance_id=record.id,
                reason=reason,
                correlation=cause.correlation or record.correlation,
                operation=record.operation,
                previous_status=previous,
                facts=facts,
                instance=snapshot,
            )
            record = with_told(record, type_)

    def _delivery(self, record: Record, event: Event) -> Delivery | None:
        receiver = record.operation_webhook_url or record.webhook_url or self._default_receiver
        if receiver is None or event.type not in DELIVERED:
            return None
        return addressed(event, receiver)

    def updated(self, before: Record, after: Record, cause: Cause, at: datetime) -> Change:
        """A change of policy: an event though the status stays. It begins no operation: none is like another."""
        facts = difference(before, after)
        note = Note(type=EventType.UPDATED, reason=f"changed: {', '.join(facts)}", facts=facts)
        change = self.change(before, Learned(record=after, notes=(note,)), cause, at)
        return replace(change, events=tuple(self._by_chance(event) for event in change.events))

    def _by_chance(self, event: Event) -> Event:
        return replace(event, id=self._new_id("evt")) if event.type is EventType.UPDATED else event


def _is_delivered(events: tuple[Event, ...]) -> bool:
    """To a receiver that the change addresses, or to those who are registered for such events."""
    return any(event.type in DELIVERED for event in events)
