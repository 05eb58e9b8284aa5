"""A pass that finds nothing new tells nothing and writes nothing."""

from collections.abc import Awaitable, Callable

import pytest

from novita_gpu.domain.instance import Status
from tests.world import World


async def nothing(_: World) -> None:
    """It goes on as it was made."""


@pytest.mark.parametrize(
    ("wish", "status"),
    [(nothing, Status.READY), (World.stop, Status.STOPPED), (World.delete, Status.DELETED)],
)
async def test_t9_passes_over_what_is_at_rest_write_nothing(
    valkey_url: str, prefix: str, wish: Callable[[World], Awaitable[None]], status: Status
) -> None:
    async with World(valkey_url, prefix) as world:
        await world.create()
        await world.until(Status.READY)
        await wish(world)
        instance = (await world.until(status)).id
        await world.passes(minutes=2)
        before, told = await world.outside.records.load(instance), await world.events()
        for _ in range(5):
            await world.process.reconciler.reconcile(instance)
            await world.passes(minutes=1)
        assert await world.events() == told
        assert await world.outside.records.load(instance) == before
