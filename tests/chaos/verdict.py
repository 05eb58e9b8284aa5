"""What holds once all is at rest: what was promised, what the service says and what the cloud's books say agree."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from novita_gpu.client import Client
from novita_gpu.client.answers import Event, Instance

# How a machine is that nobody needs to do anything about, by the public status of its instance.
MACHINE_OF = {"ready": {"running"}, "stopped": {"exited", None}, "deleted": {None}}
MUTATIONS = ("create", "start", "stop", "restart", "delete", "migrate", "edit", "upgrade")
# Of ours alone: nobody else touches this cloud.
UNEXPECTED = ("cloud.changed_outside", "sync.orphan_found", "sync.mass_absence", "sync.account_changed")


async def instances_of(client: Client, wanted: Mapping[str, str]) -> dict[str, Instance]:
    """Each that was ever promised, and each that lives."""
    living = {instance.id: instance async for instance in client.all()}
    others = await asyncio.gather(*(client.get(one) for one in wanted if one not in living))
    return living | {instance.id: instance for instance in others}


def wrongs(wanted: Mapping[str, str], instances: Mapping[str, Instance], books: Any) -> list[str]:
    """What is not as it should be, a line each; none once all is well."""
    return [
        *_unkept(wanted, instances),
        *_misplaced(instances, books["alive"]),
        *(f"{marker} is the marker of {ids}" for marker, ids in books["duplicates"].items()),
        *(f"{of} had {most} machines at once" for of, most in books["aliveAtOnce"].items() if most > 1),
    ]


def _unkept(wanted: Mapping[str, str], instances: Mapping[str, Instance]) -> Iterator[str]:
    for instance in instances.values():
        promised = wanted.get(instance.id)
        if promised is None:
            yield f"{instance.name}: {instance.id} was promised to nobody"
        elif instance.status != promised:
            why = instance.error or instance.status_reason
            yield f"{instance.name}: {instance.id} is {instance.status} and not {promised}: {why}"


def _misplaced(instances: Mapping[str, Instance], alive: Sequence[Any]) -> Iterator[str]:
    """A machine that nobody has, and an instance whose machine is missing or in another state."""
    machines = {machine["id"]: machine for machine in alive}
    owners = {one.novita_instance_id: one for one in instances.values() if one.status != "deleted"}
    for machine in alive:
        owner = owners.get(machine["id"])
        if owner is None or owner.id.removeprefix("ins_") not in machine["marker"]:
            yield f"leaked: {machine} of {owner and owner.id}"
    for one in instances.values():
        machine = machines.get(one.novita_instance_id) if one.status != "deleted" else None
        state = machine and machine["status"]
        if state not in MACHINE_OF.get(one.status, {state}):
            yield f"{one.name}: {one.id} is {one.status} and its machine {one.novita_instance_id} {state}"


def unordered(events: Sequence[Event]) -> list[str]:
    """What is wrong with the log: an event that is told twice, a sequence that does not follow the one before."""
    twice = [event for event, times in Counter(event.id for event in events).items() if times > 1]
    numbers = pairwise(event.sequence for event in events)
    gaps = [f"{one} then {other}" for one, other in numbers if other != one + 1]
    return [*twice, *gaps]


def repeated_creates(calls: Sequence[Any]) -> list[str]:
    """Markers that were sent in more than one create. A machine's name ends with its marker."""
    sent = Counter(str(call["body"]["name"]) for call in calls if call["op"] == "create")
    return [name for name, times in sent.items() if times > 1]
