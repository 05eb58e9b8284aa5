"""What must hold of stops for idleness: none within its time after a sign of life, and none untold."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId, Record

if TYPE_CHECKING:
    from tests.prove.explore import Exploration

SLACK = timedelta(seconds=1)


def idleness(world: "Exploration", records: list[Record], events: list[Event]) -> Iterator[str]:
    """Heartbeats that were taken, and becoming ready, are signs of life."""
    span, beats = timedelta(minutes=world.schedule.idle_minutes), _taken(world, records)
    for stop in events:
        if stop.actor != "auto-stop" or stop.type is not EventType.STOPPING:
            continue
        before = [e for e in events if e.instance_id == stop.instance_id and e.sequence < stop.sequence]
        signs = [e.at for e in before if e.type is EventType.READY]
        signs += [at for instance, at in beats if instance == stop.instance_id and at <= stop.at]
        if stop.at - max(signs) < span:
            yield f"in use: {stop.instance_id} was stopped {stop.at - max(signs)} after its last sign of life"
        told = [e.at for e in before if e.type is EventType.AUTO_STOP_WARNING]
        if not told or stop.at - max(told) < span / 2 - SLACK:
            yield f"untold: {stop.instance_id} was stopped for idleness and nobody was told in time"


def _taken(world: "Exploration", records: list[Record]) -> list[tuple[InstanceId, datetime]]:
    names = {record.name: record.id for record in records}
    taken = list(world.beats)
    for wish, answer in world.answers.told:
        if wish.verb == "touch" and answer.status == 200 and wish.name in names:
            taken.append((names[wish.name], msgspec.json.decode(answer.body)["at"]))
    return [(instance, datetime.fromtimestamp(at, UTC)) for instance, at in taken]
