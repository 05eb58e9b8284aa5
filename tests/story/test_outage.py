"""The cloud does not answer for minutes, in the midst of everything. Nobody fails, nobody storms, all comes about."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from novita_gpu.contract import WishBody
from novita_gpu.control.caches import Caches
from novita_gpu.control.health import Health
from novita_gpu.control.rates import Rates
from novita_gpu.control.signs import Reading
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.figures import Figures
from tests.control.test_idle_check import Shared, Working
from tests.valkey import new_prefix
from tests.world import CALLER, World, order

OLD, NEW = [f"old-{number}" for number in range(20)], [f"new-{number}" for number in range(100)]
OUT_MINUTES = 5
# `make test` has the likeliest of them.
KINDS = os.environ.get("OUTAGES", "503").split()
NOTICED_S = 5
# Of the calls of a normal minute.
STORM = 0.05


def health_of(world: World) -> Health:
    """Of its process. Nobody but the test works for it."""
    process, now = world.process, world.now
    return Health(
        reading=Reading(process.store, Working(), "here", now),
        view=process.store.view,
        upstream=process.cloud,
        calls=process.metered.meters,
        place=Shared(),
        idle_check=process.idle_check,
        outages=process.outages,
        rates=Rates(Figures()),
        caches=Caches(process.store.facts, now),
        version="1",
        now=now,
    )


class Scene:
    """Twenty that run and a hundred that are being made, and what was seen of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.failed: set[str] = set()
        self.health = health_of(world)
        self.seen: list[tuple[float, bool]] = []  # whether health said that the cloud is well, by time

    async def look(self, _: str = "") -> None:
        """What health says, once a second."""
        at = self.world.simulator.clock.now()
        if not self.seen or at >= self.seen[-1][0] + 1:
            self.seen.append((at, self.health.view(False).services.novita_api == "up"))

    def changes(self) -> list[tuple[float, bool]]:
        """When what it says changed."""
        pairs = zip([(0.0, True), *self.seen], self.seen, strict=False)
        return [now for before, now in pairs if before[1] != now[1]]

    def answers(self) -> list[float]:
        """When calls were answered, and those that were not, negative."""
        return [-call["at"] if call["fault"] else call["at"] for call in self.world.received("")]

    def records(self) -> list[Record]:
        return self.world.process.store.view.all()

    def count(self) -> Counter[Status]:
        return Counter(status(record) for record in self.records())

    def calls_since(self, at: datetime) -> int:
        return sum(call["at"] >= at.timestamp() for call in self.world.received(""))

    async def minutes(self, minutes: float) -> None:
        """So much time, with a heartbeat for all that run every quarter of a minute."""
        for _ in range(round(minutes * 4)):
            for record in self.records():
                if record.name in NEW and status(record) in {Status.READY, Status.RUNNING}:
                    await self.world.process.commands.touch(record.id, None)
            await self.world.passes(minutes=0.25)
            await self.health.check()
            self.failed |= {record.name for record in self.records() if status(record) is Status.FAILED}


async def create(world: World, names: list[str]) -> None:
    for name in names:
        await world.process.commands.create(order(name), CALLER)


async def prepared(world: World) -> Scene:
    world.simulator.control.post("stock", clusterId="*", gpus=500)
    await create(world, OLD)
    await world.passes(minutes=2)
    scene = Scene(world)
    assert scene.count() == {Status.READY: len(OLD)}
    return scene


async def a_normal_minute(url: str) -> int:
    """Calls of the minute in which all this is done while the cloud is well."""
    async with World(url, new_prefix()) as world:
        scene = await prepared(world)
        begun = world.now()
        await create(world, NEW)
        await stop(world)
        await scene.minutes(1)
        return scene.calls_since(begun)


async def stop(world: World) -> None:
    for name in OLD:
        await world.process.commands.stop(name, WishBody(), CALLER)


@pytest.mark.parametrize("kind", KINDS)
async def test_t3_five_minutes_without_the_cloud_fail_nobody_and_storm_nobody(
    valkey_url: str, kind: str, figure: Callable[[str], None]
) -> None:
    normal = await a_normal_minute(valkey_url)
    async with World(valkey_url, new_prefix()) as world:
        scene = await prepared(world)
        begins_out = world.now()

        async def goes_out(name: str) -> None:
            await scene.look()
            if name == "create" and world.blade.names.count("create") == len(OLD) + len(NEW) // 2:
                world.simulator.control.post("faults", kind=kind, op="*", times=0)

        world.blade.meets = goes_out
        await create(world, NEW)
        await scene.minutes(0.25)
        out_at = world.now()
        await stop(world)
        calls: list[int] = []
        for _ in range(OUT_MINUTES):
            minute = world.now()
            await scene.minutes(1)
            calls.append(scene.calls_since(minute))
        assert scene.count()[Status.STOPPED] == 0
        world.simulator.control.post("faults/clear")
        back_at = world.now()
        await scene.minutes(3)
        assert scene.failed == set()
        assert scene.count() == {Status.READY: len(NEW), Status.STOPPED: len(OLD)}
        assert (world.audit()["everCreated"], world.audit()["duplicates"]) == (len(OLD) + len(NEW), {})
        figure(f"outage by {kind}: {normal} calls in a normal minute, {calls} in those of the outage")
        assert max(calls) < normal * STORM, (calls, normal)
        (unwell_at, _), (well_at, _) = scene.changes()
        first_silent = -max(at for at in scene.answers() if at < 0)
        first_answer = min(at for at in scene.answers() if at >= back_at.timestamp())
        assert 0 <= unwell_at - first_silent <= NOTICED_S
        assert 0 <= well_at - first_answer <= NOTICED_S
        told = of_circuits(await world.outside.events.read(limit=5000))
        assert [event.type for event in told] == [EventType.CIRCUIT_OPENED] * 3 + [EventType.CIRCUIT_CLOSED] * 3
        assert all(begins_out <= event.at <= out_at + timedelta(minutes=1) for event in told[:3])
        assert all(back_at <= event.at <= back_at + timedelta(minutes=1) for event in told[3:])


def of_circuits(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type in {EventType.CIRCUIT_OPENED, EventType.CIRCUIT_CLOSED}]
