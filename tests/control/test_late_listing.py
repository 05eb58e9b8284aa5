"""A listing that lags behind: what it shows from before a stop is not taken for the start that was asked for since."""

from novita_gpu.domain.instance import Status
from tests.world import World


async def test_a_start_after_a_stop_is_not_judged_by_a_listing_from_before_it(valkey_url: str, prefix: str) -> None:
    async with World(valkey_url, prefix) as world:
        await world.create()
        await world.until(Status.READY)
        world.simulator.control.post("listing", staleSeconds=20)
        await world.stop()
        await world.passes(minutes=0.1)
        await world.start()
        await world.until(Status.READY)
        told = [str(event.type) for event in await world.events()]
    assert "cloud.changed_outside" not in told
    assert len(world.received("start")) == 1


async def test_a_machine_that_was_deleted_for_a_stop_is_not_taken_for_removed_by_others(
    valkey_url: str, prefix: str
) -> None:
    """It never ran as far as anybody knew; the listing goes on showing it running after the delete."""
    async with World(valkey_url, prefix) as world:

        async def takes_time(_: str) -> None:
            world.turn(0.01)

        world.blade.meets = takes_time
        world.simulator.control.post("faults", kind="cut", op="create", when="after")
        await world.create()
        await world.passes(minutes=0.01)
        await world.stop()
        world.turn(20)
        world.simulator.control.post("listing", staleSeconds=20)
        record = await world.until(Status.STOPPED)
        told = [str(event.type) for event in await world.events()]
    assert record.machine is None
    assert "cloud.changed_outside" not in told
    assert world.received("stop") == []
