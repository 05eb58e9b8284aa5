"""Stops by an instance's own policy, on a clock turned by hand: told of, on evidence, in time, until it is down."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import Any

import pytest

from novita_gpu.contract import PatchInstance, StartInstance, WishBody
from novita_gpu.contract.requests import AutoStopRequest
from novita_gpu.control.costs import saved_by
from novita_gpu.domain.case import Policy
from novita_gpu.domain.errors import Conflicting
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import Record, Status, bills_in_vain, status
from novita_gpu.domain.money import usd_of_grains
from novita_gpu.domain.spec import Activity
from novita_gpu.store.base import NotRunning
from tests.valkey import new_prefix
from tests.world import CALLER, NAME, POLICY, World, nothing

MINUTE = timedelta(minutes=1)


async def ready(world: World, **auto_stop: Any) -> Record:
    await world.create(auto_stop=AutoStopRequest(**auto_stop))
    return await world.until(Status.READY)


async def of_type(world: World, *types: EventType) -> list[Event]:
    return [event for event in await world.events() if event.type in types]


def use(world: World, gpu: float, memory: float = 40.0) -> None:
    """From now on its GPUs are so busy."""
    world.simulator.control.post("metrics", instanceId="*", gpu=gpu, gpuMemory=memory)


def gaps(calls: Sequence[Any]) -> list[float]:
    times = [call["at"] for call in calls]
    return [after - before for before, after in pairwise(times)]


async def test_it_is_told_of_once_two_minutes_before_and_stopped_on_time(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await ready(world)
        await world.passes(minutes=30)
        (told,) = await of_type(world, EventType.AUTO_STOP_WARNING)
        (stop,) = [e for e in await of_type(world, EventType.STOPPING) if e.actor == "auto-stop"]
        assert record.ready_at
        assert timedelta(0) <= stop.at - record.ready_at - 20 * MINUTE <= timedelta(seconds=1)
        assert timedelta(seconds=119) <= stop.at - told.at <= timedelta(seconds=121)
        assert told.facts["stopsAt"][:19] == stop.at.isoformat()[:19]
        assert "last-used" in told.facts["toKeepIt"]
        assert "no network volume" in told.facts["aStopMayCost"]
        assert stop.reason == "no heartbeat for 20 minutes"
        assert status(await world.record()) is Status.STOPPED


async def test_a_heartbeat_after_the_warning_puts_it_off_and_the_next_deadline_is_told_of_anew(
    valkey_url: str,
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.passes(minutes=19)
        assert len(await of_type(world, EventType.AUTO_STOP_WARNING)) == 1
        await world.process.commands.touch(NAME, None)
        await world.passes(minutes=17)
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=4)
        assert len(await of_type(world, EventType.AUTO_STOP_WARNING)) == 2
        assert status(await world.record()) is Status.STOPPED


async def test_a_gpu_at_work_keeps_it_without_a_heartbeat_and_a_quiet_one_does_not(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world, activity=Activity.GPU)
        use(world, 90)
        await world.passes(minutes=180)
        assert status(await world.record()) is Status.READY
        use(world, 1)
        began = world.now()
        await world.passes(minutes=26)
        (stop,) = [e for e in await of_type(world, EventType.STOPPING) if e.actor == "auto-stop"]
        assert 19.5 * MINUTE < stop.at - began < 25 * MINUTE
        assert stop.reason == "no use of its GPU for 20 minutes"
        assert min(gaps(world.received("metrics"))) >= 120
        assert len(world.received("metrics")) < 20


async def test_under_heartbeats_the_gpu_is_never_asked_for(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.passes(minutes=25)
        assert world.received("metrics") == []


@pytest.mark.parametrize("activity", [Activity.GPU, Activity.ANY])
async def test_n15_while_its_metrics_cannot_be_read_it_runs_on_and_is_stopped_once_they_can(
    valkey_url: str, activity: Activity
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world, activity=activity)
        world.simulator.control.post("faults", kind="500", op="metrics", times=0)
        await world.passes(minutes=120)
        assert status(await world.record()) is Status.READY
        assert await of_type(world, EventType.AUTO_STOP_WARNING) == []
        assert min(gaps(world.received("metrics"))) >= 119
        world.simulator.faults.waiting.clear()
        await world.passes(minutes=6)
        assert status(await world.record()) is Status.STOPPED
        assert len(await of_type(world, EventType.AUTO_STOP_WARNING)) == 1


async def test_a_lifetime_ends_it_though_its_metrics_cannot_be_read_and_it_is_in_use(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world, activity=Activity.ANY, max_lifetime_minutes=60)
        world.simulator.control.post("faults", kind="500", op="metrics", times=0)
        for _ in range(13):
            await world.passes(minutes=5)
            try:
                await world.process.commands.touch(NAME, None)
            except Conflicting:
                break
        assert status(await world.record()) is Status.STOPPED
        (told,) = await of_type(world, EventType.AUTO_STOP_WARNING)
        assert (told.facts["rule"], "maxLifetimeMinutes" in told.facts["toKeepIt"]) == ("lifetime", True)


@pytest.mark.parametrize("activity", [Activity.GPU, Activity.ANY])
async def test_a_lifetime_ends_what_nobody_uses_and_whose_metrics_cannot_be_read(
    valkey_url: str, activity: Activity
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world, activity=activity, max_lifetime_minutes=60)
        world.simulator.control.post("faults", kind="502", op="metrics", times=0)
        await world.passes(minutes=58)
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=4)
        assert status(await world.record()) is Status.STOPPED
        (told,) = await of_type(world, EventType.AUTO_STOP_WARNING)
        assert told.facts["rule"] == "lifetime"


async def test_n13_heartbeats_that_nobody_could_take_stop_nothing(valkey_url: str) -> None:
    """We were down for an hour, and its client's heartbeats went nowhere; it is heard again within five minutes."""
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.passes(minutes=10)
        await world.process.commands.touch(NAME, None)
        world.turn(3600)
        await world.passes(minutes=5)
        assert status(await world.record()) is Status.READY
        await world.process.commands.touch(NAME, None)
        await world.passes(minutes=19)
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=2)
        assert status(await world.record()) is Status.STOPPED


async def test_n19_a_stop_that_fails_is_tried_again_told_of_and_forgets_nothing(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await ready(world)
        await world.passes(minutes=1)
        _, used_at = await world.process.commands.touch(NAME, None)
        world.simulator.control.post("faults", kind="500", op="stop", times=6)
        await world.passes(minutes=25)
        billing = await of_type(world, EventType.STILL_BILLING)
        assert len(billing) == 1
        assert "3 times" in (billing[0].reason or "")
        seen = [call["at"] for call in world.received("stop")]
        assert len(seen) == 7
        pauses = [round(gap) for gap in gaps(world.received("stop"))]
        assert pauses == sorted(pauses)
        assert await world.outside.records.activity(record.id) == used_at
        await world.until(Status.STOPPED)
        assert not bills_in_vain(await world.record())


async def test_what_a_stop_saved_is_known_when_it_is_wanted_again(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.passes(minutes=25)
        record = await world.record()
        assert record.saving.stops == 1
        world.turn(7200)
        await world.process.commands.start(NAME, StartInstance(), CALLER)
        record = await world.record()
        saved = usd_of_grains(saved_by(record, world.now()))
        assert record.machine
        hours = Decimal(str(round(7200 / 3600 + 5 / 60, 2)))
        price = Decimal(record.machine.offer.units_per_hour) / 100_000
        assert abs(saved - hours * price) < Decimal("0.02") * price * 100 / 20
        world.turn(7200)
        assert usd_of_grains(saved_by(await world.record(), world.now())) == saved


async def test_a_stop_that_somebody_asked_for_saves_nothing(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.stop()
        await world.until(Status.STOPPED)
        world.turn(7200)
        assert saved_by(await world.record(), world.now()) == 0


async def test_what_is_stopped_for_long_is_deleted_after_a_warning_and_not_if_it_is_started(valkey_url: str) -> None:
    policy = Policy(settle=POLICY.settle, idle=IdlePolicy(discard=timedelta(days=3)))
    async with World(valkey_url, new_prefix(), policy=policy) as world:
        await ready(world)
        await world.stop()
        await world.until(Status.STOPPED)
        await world.passes(minutes=2 * 1440 + 5)
        (told,) = await of_type(world, EventType.AUTO_DELETE_WARNING)
        assert "start" in told.facts["toKeepIt"]
        await world.start()
        await world.until(Status.READY)
        await world.process.commands.patch(NAME, PatchInstance(auto_stop=AutoStopRequest(enabled=False)), CALLER)
        await world.passes(minutes=1500)
        assert status(await world.record()) is Status.READY
        await world.process.commands.patch(NAME, PatchInstance(auto_stop=AutoStopRequest(enabled=True)), CALLER)
        await world.passes(minutes=30)
        assert status(await world.record()) is Status.STOPPED
        await world.passes(minutes=3 * 1440 + 10)
        gone = await world.record()
        assert status(gone) is Status.DELETED
        assert gone.reason == "stopped for 3 days, and its disk bills"
        assert world.audit()["alive"] == []
        deleting = await of_type(world, EventType.DELETED)
        warnings = await of_type(world, EventType.AUTO_DELETE_WARNING)
        assert len(warnings) == 2
        assert deleting[-1].at - warnings[-1].at >= timedelta(days=1)


async def test_n13_a_heartbeat_at_any_await_of_the_check_and_the_stop_is_weighed_or_refused(valkey_url: str) -> None:
    """From another process. Each that is taken keeps it; the first that comes after the stop was stored is refused."""
    async with World(valkey_url, new_prefix()) as world:
        record = await ready(world, idle_minutes=1)
        beat = Beat(world, record, 0)
        for number in count():
            await world.outside.records.touch(record.id, world.now())
            await world.passes(minutes=59 / 60)
            world.turn(1.0)
            beat = Beat(world, record, number)
            world.blade.meets = beat.before
            await world.process.idle_check.run()
            await world.process.go_on()
            world.blade.meets = nothing
            if beat.came_of_it == "refused":
                break
            assert beat.came_of_it == "taken"
            assert status(await world.record()) is Status.READY, f"stopped though a heartbeat was taken at {number}"
        assert beat.number >= 10
        await world.until(Status.STOPPED)


class Beat:
    """One heartbeat, sent elsewhere before the await of that number."""

    def __init__(self, world: World, record: Record, number: int) -> None:
        self._world, self._record, self.number, self._left = world, record, number, number
        self.came_of_it = ""

    async def before(self, _: str) -> None:
        self._left -= 1
        if self._left == -1:
            try:
                await self._world.outside.records.touch(self._record.id, self._world.now())
                self.came_of_it = "taken"
            except NotRunning:
                self.came_of_it = "refused"


async def test_n14_a_started_machine_is_not_judged_by_the_run_before(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await ready(world)
        await world.process.commands.touch(NAME, None)
        await world.process.commands.stop(NAME, WishBody(), CALLER)
        await world.until(Status.STOPPED)
        world.turn(3 * 3600)
        await world.start()
        again = await world.until(Status.READY)
        await world.passes(minutes=19)
        assert status(await world.record()) is Status.READY
        assert again.run.warned is None
