"""What must hold in the end, when all is at rest."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from novita_gpu.api.problems import Answered
from novita_gpu.domain.bill import spent
from novita_gpu.domain.events import OF_STATUS, Event, EventType
from novita_gpu.domain.instance import InstanceId, Record, Status, status
from novita_gpu.domain.instance import Wish as Wanted
from novita_gpu.domain.limits import reserved
from novita_gpu.domain.money import usd_of_grains
from tests.prove.idleness import idleness
from tests.prove.schedule import Wish

if TYPE_CHECKING:
    from tests.prove.explore import Exploration

STATUS_OF = {type_: status for status, type_ in OF_STATUS.items()}
CENT = 0.005
CENT_OF_CENT = Decimal("0.0001")


@dataclass
class Answers:
    """What people were told. `meddled` are the instances that somebody touched outside."""

    told: list[tuple[Wish, Answered]] = field(default_factory=list[tuple[Wish, Answered]])
    meddled: set[InstanceId] = field(default_factory=set[InstanceId])

    def given(self, wish: Wish, answer: Answered) -> None:
        self.told.append((wish, answer))


async def verdict(world: "Exploration") -> list[str]:
    records = await world.outside.records.load_many(await world.outside.records.all_ids())
    events = await world.outside.events.read(limit=1000)
    return [
        *_machines(world, records),
        *_wishes(world, records),
        *_timelines(world, records, events),
        *_answers(world, records, events),
        *_money(world, records),
        *_bills(world, records),
        *idleness(world, records, events),
        *_reserved(await world.outside.facts.reserved(), records),
    ]


def _machines(world: "Exploration", records: list[Record]) -> Iterator[str]:
    """Each living machine is one record's, and the other way round."""
    ours = {record.machine.id: record for record in records if record.machine}
    alive = {m.id: m for m in world.simulator.core.machines.values() if not m.is_going and m.id not in world.clones}
    for clone in world.clones:
        if clone not in world.simulator.core.machines or world.simulator.core.machines[clone].is_going:
            yield f"touched: {clone} is a copy that somebody made, and was removed"
    if len(ours) < sum(1 for record in records if record.machine):
        yield "doubled: two records have one machine"
    for machine in alive.values():
        if machine.id not in ours:
            yield f"leaked: {machine.id} {machine.marker} is {machine.status} and no record has it"
    for machine, record in ours.items():
        if machine not in alive:
            yield f"lost: {record.name} has {machine}, which is gone"
    for record in records:
        markers = {attempt.marker for attempt in record.attempts}
        several = [machine.id for machine in alive.values() if machine.marker in markers]
        if len(several) > 1:
            yield f"doubled: {record.name} has {several}"


def _wishes(world: "Exploration", records: list[Record]) -> Iterator[str]:
    """What was wanted is what is, or it failed with a reason."""
    for record in records:
        machine = world.simulator.core.machines.get(record.machine.id) if record.machine else None
        place = machine.status if machine else None
        is_met = {
            Status.READY: place == "running",
            Status.STOPPED: place in {"exited", None},
            Status.FAILED: place in {"exited", None} and bool(record.reason),
            Status.DELETED: place is None,
        }.get(status(record), False)
        wanted = {Wanted.RUNNING: {Status.READY, Status.FAILED}, Wanted.STOPPED: {Status.STOPPED}}
        if not is_met or status(record) not in wanted.get(record.wants, {Status.DELETED}):
            yield f"{record.name} wants {record.wants}, is {status(record)}, and its machine is {place}"


def _timelines(world: "Exploration", records: list[Record], events: list[Event]) -> Iterator[str]:
    """Each change of status has exactly one event; numbers only grow."""
    numbers = [event.sequence for event in events]
    if not world.schedule.hazards and not world.schedule.outside:
        for event in events:
            if event.type in {EventType.ADOPTED, EventType.ATTEMPT_SETTLED}:
                yield f"thrown away: an answer that was given; {event.type}: {event.reason}"
    if numbers != sorted(set(numbers)) or len({event.id for event in events}) != len(events):
        yield "events: a number or an id comes twice"
    for record in records:
        told = [event for event in events if event.instance_id == record.id and event.type in STATUS_OF]
        statuses = [STATUS_OF[event.type] for event in told]
        if world.schedule.parted:
            if statuses[-1:] != [status(record)]:
                yield f"events: {record.name} is {status(record)} and was last told as {statuses[-1:]}"
            continue
        if statuses != world.watch.statuses.get(record.id, []):
            yield f"events: {record.name} went {world.watch.statuses.get(record.id)} and was told as {statuses}"
        if [event.previous_status for event in told] != [None, *statuses[:-1]]:
            yield f"events: {record.name} was told as coming from {[event.previous_status for event in told]}"


def _answers(world: "Exploration", records: list[Record], events: list[Event]) -> Iterator[str]:
    """What was accepted was done by that very operation; one key has one answer."""
    operations = {event.operation for event in events}
    by_key: dict[str, dict[str, Any]] = {}
    creations: dict[str, set[str]] = {}
    for wish, answer in world.answers.told:
        body = msgspec.json.decode(answer.body)
        if answer.status in {201, 202} and body["operationId"] not in operations:
            yield f"lost: {wish.verb} {wish.name} was answered {answer.status} and nothing came of it"
        if answer.status == 201:
            creations.setdefault(wish.name, set()).add(body["instanceId"])
        is_one = wish.key and answer.status < 400 and not world.schedule.parted  # exclusive on each side alone
        if is_one and by_key.setdefault(wish.key, body) != body:
            yield f"{wish.key} was answered differently: {by_key[wish.key]} and {body}"
    known = {record.id for record in records}
    for name, instances in creations.items():
        if not instances <= known:
            yield f"lost: {name} was created as {instances} and is not there"
        living = [r.id for r in records if r.name == name and not r.deleted_at]
        if len(living) > 1:
            yield f"doubled: {living} are both called {name}"


def _money(world: "Exploration", records: list[Record]) -> Iterator[str]:
    """Whatever was paid was paid for a machine that some record names."""
    now, core = world.now(), world.simulator.core
    markers = {attempt.marker for record in records for attempt in record.attempts}
    copies = sum(machine.cost_usd(now) for machine in core.everything() if machine.id in world.clones)
    paid = core.total_cost_usd(now) - copies
    seen = sum(m.cost_usd(now) for m in core.everything() if m.marker in markers and m.id not in world.clones)
    if abs(paid - seen) > CENT:
        yield f"money: {paid:.4f} USD were paid, {seen:.4f} for machines that a record names"


def _bills(world: "Exploration", records: list[Record]) -> Iterator[str]:
    """Where nothing went wrong each instance's own figure is the cloud's, within what it says it may be off."""
    if world.schedule.hazards or world.schedule.outside:
        return
    now = datetime.fromtimestamp(world.now(), UTC)
    for record in records:
        markers = {attempt.marker for attempt in record.attempts}
        machines = [m for m in world.simulator.core.everything() if m.marker in markers]
        books, part = sum(m.cost_usd(world.now()) for m in machines), spent(record.bill, now)
        off = abs(usd_of_grains(part.total) - Decimal(books))
        if off > usd_of_grains(part.doubt) + CENT_OF_CENT:
            yield f"money: {record.name} says {usd_of_grains(part.total):.5f} USD, the cloud {books:.5f}"


def _reserved(total: int, records: list[Record]) -> Iterator[str]:
    """What the store holds as reserved is what the records reserve."""
    expected = sum(reserved(record) for record in records)
    if total != expected:
        yield f"reserved: the store says {total}, the records {expected}"
