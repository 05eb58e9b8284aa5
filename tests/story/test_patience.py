"""What takes minutes, on a clock turned by hand."""

from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Status, status
from tests.valkey import new_prefix
from tests.world import World


async def test_a_start_whose_gpu_was_given_away_runs_once_there_is_one_again(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        await world.until(Status.READY)
        await world.stop()
        await world.until(Status.STOPPED)
        world.simulator.control.post("stock", gpus=0)
        await world.start()
        await world.passes(minutes=3)
        waiting = await world.record()
        assert status(waiting) is Status.STARTING
        assert 3 <= len(world.received("start")) <= 8  # asked again, later each time
        world.simulator.control.post("stock", gpus=8)
        started = await world.until(Status.READY)
        assert started.machine == waiting.machine
        assert world.audit()["everCreated"] == 1
        assert EventType.START_REFUSED in {event.type for event in await world.events()}


async def test_a_launch_that_no_offer_brings_up_fails_with_nothing_left_in_the_cloud(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.control.post("stick", status="pulling", creates=100)
        await world.create()
        await world.passes(minutes=31)
        assert len(world.received("create")) == 2  # the first offer had its half hour
        await world.passes(minutes=180)
        record = await world.record()
        assert (status(record), record.failure and record.failure.code) == (Status.FAILED, "NO_OFFER")
        audit = world.audit()
        assert audit["alive"] == []
        assert set(audit["aliveAtOnce"].values()) == {1}
        assert len({(a.offer.product_id, a.offer.cluster_id) for a in record.attempts}) == len(record.attempts)


async def test_an_instance_runs_on_while_it_is_used_and_is_stopped_when_it_is_not(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        record = await world.until(Status.READY)
        for _ in range(6):
            await world.passes(minutes=15)
            await world.process.commands.touch(record.id, None)
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=21)
        assert status(await world.record()) is Status.STOPPED
