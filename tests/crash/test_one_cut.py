"""Every pass, cut at each await of store, cloud and bell, and resumed by a new process on what is stored.

Wherever the process dies, one machine is bought, the instance becomes what was wished, and each change is told once.
"""

from collections.abc import Awaitable, Callable

import pytest

from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Status
from tests.crash.world import World
from tests.valkey import new_prefix

Stage = Callable[[World], Awaitable[None]]
# Each takes its turn of the cuts: 0, 8, 16… so that a slow one is found at once and cores share the work.
TURNS = 8


async def bought(world: World) -> None:
    await world.create()
    await world.until(Status.READY)


async def stopped(world: World) -> None:
    await world.stop()
    await world.until(Status.STOPPED)


async def started(world: World) -> None:
    await world.start()
    await world.until(Status.READY)


async def restarted(world: World) -> None:
    known = (await world.record()).generation
    await world.restart()
    assert (await world.until(Status.READY)).generation == known + 1


async def gone(world: World) -> None:
    await world.delete()
    await world.until(Status.DELETED)


UP = (EventType.RUNNING, EventType.READY)
TOLD: dict[Stage, tuple[EventType, ...]] = {
    bought: (EventType.CREATING, *UP),
    stopped: (EventType.STOPPING, EventType.STOPPED),
    started: (EventType.STARTING, *UP),
    restarted: (EventType.STARTING, *UP),
    gone: (EventType.DELETING, EventType.DELETED),
}


async def live(world: World, *stages: Stage) -> None:
    for stage in stages:
        await stage(world)


async def awaits(valkey_url: str, *stages: Stage) -> int:
    """How many there are when nothing goes wrong."""
    async with World(valkey_url, new_prefix()) as world:
        await live(world, *stages)
        return len(world.blade.names)


def names(stages: tuple[Stage, ...]) -> str:
    return ", ".join(getattr(stage, "__name__", "") for stage in stages)


@pytest.mark.parametrize("turn", range(TURNS))
@pytest.mark.parametrize(
    ("before", "stages"),
    [((), (bought, stopped, gone)), ((bought, stopped), (started, restarted, gone))],
    ids=["create-stop-delete", "start-restart-delete"],
)
async def test_cut(
    valkey_url: str,
    before: tuple[Stage, ...],
    stages: tuple[Stage, ...],
    turn: int,
    figure: Callable[[str], None],
) -> None:
    whole = (*before, *stages)
    first = await awaits(valkey_url, *before)
    last = await awaits(valkey_url, *whole)
    for cut in range(first + turn, last, TURNS):
        async with World(valkey_url, new_prefix(), cuts={cut}) as world:
            await live(world, *whole)
            (killed,) = world.kills
            audit = world.audit()
            assert (audit["everCreated"], audit["alive"], audit["duplicates"]) == (1, [], {}), killed
            assert set(audit["aliveAtOnce"].values()) == {1}, killed
            assert (await world.record()).deleted_at, killed
            events = await world.events()
            assert len({event.id for event in events}) == len(events), killed
            told = tuple(event.type for event in events if event.type.value.startswith("instance."))
            assert told == tuple(type_ for stage in whole for type_ in TOLD[stage]), killed
    figure(f"killed before each of the awaits {first} to {last - 1} in turn, and resumed: {names(stages)}")
