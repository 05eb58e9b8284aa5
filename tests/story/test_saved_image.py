"""A spot machine's disk is saved at the notice, where that is asked for, and the new machine is made from it."""

from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.simulator.faults import Fault
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record, Status, status
from tests.story.test_recovery import machine_of, of_type, reclaim, recovered, spot
from tests.valkey import new_prefix
from tests.world import World

REPOSITORY = "registry.example.com/team/checkpoints"
NOTICE_S = 600.0


async def noticed(world: World, **recovery: Any) -> Record:
    """A spot machine whose image is to be saved, and which the cloud has just announced to take."""
    record = await spot(world, save_image=True, image_repository=REPOSITORY, **recovery)
    reclaim(world, record, NOTICE_S)
    return record


def saved_as(world: World) -> list[str]:
    return [call["body"]["image"] for call in world.received("save_image")]


def image_of_last_create(world: World) -> str:
    return str(world.received("create")[-1]["body"]["imageUrl"])


async def test_it_is_saved_once_at_the_notice_and_the_new_machine_is_made_from_it(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await noticed(world)
        await world.passes(minutes=3)
        (address,) = saved_as(world)
        assert address.startswith(f"{REPOSITORY}:{record.name}-20")
        (asked,), (saved,) = await of_type(world, EventType.IMAGE_ASKED), await of_type(world, EventType.IMAGE_SAVED)
        assert asked.sequence < saved.sequence
        assert status(await world.record()) is Status.READY
        back = await recovered(world)
        assert machine_of(back) != machine_of(record)
        assert image_of_last_create(world) == address
        assert world.received("migrate") == []
        assert saved_as(world) == [address]
        await world.passes(minutes=2)
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(back)]


async def test_without_the_wish_nothing_is_saved(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        reclaim(world, record, NOTICE_S)
        assert machine_of(await recovered(world)) == machine_of(record)
        assert saved_as(world) == []


async def test_a_saving_under_way_when_the_machine_goes_is_waited_for(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.core.timing = replace(world.simulator.core.timing, saving_image_s=NOTICE_S + 120)
        record = await noticed(world)
        await world.passes(minutes=11)
        waits = await world.record()
        assert status(waits) is Status.MIGRATING
        assert world.received("migrate") == []
        back = await recovered(world)
        assert machine_of(back) != machine_of(record)
        assert image_of_last_create(world) == saved_as(world)[0]


async def test_a_saving_that_takes_for_ever_holds_the_recovery_up_for_ten_minutes_only(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.core.timing = replace(world.simulator.core.timing, saving_image_s=86_400.0)
        record = await noticed(world)
        await world.passes(minutes=18)
        assert world.received("migrate") == []
        assert machine_of(await recovered(world)) == machine_of(record)


async def test_what_cannot_be_saved_is_tried_three_times_told_of_and_comes_back_without(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.faults.lay([Fault(kind="balance", op="save_image", times=0)])
        record = await noticed(world)
        await world.passes(minutes=8)
        assert len(saved_as(world)) == 3
        assert len(await of_type(world, EventType.IMAGE_FAILED)) == 3
        assert machine_of(await recovered(world)) == machine_of(record)


async def test_a_job_that_fails_is_told_of_and_asked_for_anew(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.control.post("jobs", times=1)
        await noticed(world)
        await world.passes(minutes=8)
        assert len(saved_as(world)) == 2
        assert [e.type for e in await world.events() if e.type.value.startswith("recovery.image")] == [
            EventType.IMAGE_ASKED,
            EventType.IMAGE_FAILED,
            EventType.IMAGE_ASKED,
            EventType.IMAGE_SAVED,
        ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_is_settled_by_the_list_of_jobs(valkey_url: str, when: Any) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.faults.lay([Fault(kind="cut", op="save_image", when=when)])
        await noticed(world)
        await world.passes(minutes=8)
        assert len(saved_as(world)) == (2 if when == "before" else 1)
        assert len(await of_type(world, EventType.IMAGE_SAVED)) == 1


async def test_where_no_machine_can_be_made_from_it_one_is_made_as_at_first(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        auth = next(iter(world.simulator.core.shelf.auths))
        record = await noticed(world, image_auth_id=auth)
        await world.passes(minutes=3)
        assert len(await of_type(world, EventType.IMAGE_SAVED)) == 1
        del world.simulator.core.shelf.auths[auth]
        back = await recovered(world)
        assert machine_of(back) != machine_of(record)
        assert image_of_last_create(world) == record.spec.image_url
        assert len(await of_type(world, EventType.IMAGE_FAILED)) == 1
