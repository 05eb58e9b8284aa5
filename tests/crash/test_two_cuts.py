"""A process that dies again while it makes good what the death before left behind."""

from random import Random

import pytest

from novita_gpu.domain.instance import Status
from tests.crash.world import World
from tests.valkey import new_prefix

SEEDS = range(24)


@pytest.mark.parametrize("turn", range(2))
async def test_two_cuts(valkey_url: str, turn: int) -> None:
    for seed in SEEDS[turn::2]:
        chance = Random(seed)  # noqa: S311 - the same cuts at each run
        cuts = {chance.randrange(30, 120) for _ in range(3)}
        async with World(valkey_url, new_prefix(), cuts) as world:
            await world.create()
            await world.until(Status.READY)
            await world.delete()
            await world.until(Status.DELETED)
            audit = world.audit()
            assert (audit["everCreated"], audit["alive"]) == (1, []), world.kills
            assert set(audit["aliveAtOnce"].values()) == {1}, world.kills
            events = [event.type for event in await world.events() if event.type.value.startswith("instance.")]
            assert len(events) == len(set(events)), world.kills
