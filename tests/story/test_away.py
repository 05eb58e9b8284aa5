"""What is asked of a replica while it is away from the shared store, and what of it counts when it is back."""

from msgspec.structs import replace

from novita_gpu.contract import WishBody
from novita_gpu.domain.instance import InstanceId, Record, Status, Wish, status
from novita_gpu.domain.merge import merged
from novita_gpu.store.base import Change
from tests.valkey import new_prefix
from tests.world import CALLER, World


async def loaded(world: World, instance: InstanceId) -> Record:
    record = await world.outside.records.load(instance)
    assert record
    return record


async def test_a_delete_of_what_only_seems_deleted_here_is_a_wish_there(valkey_url: str) -> None:
    """Others had stopped it, which is not heard of here: its machine seemed to be removed by somebody else."""
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        base = await world.record()
        seen = replace(base, wants=Wish.DELETED, deleted_at=world.now(), base=base.revision)
        await world.outside.records.commit(Change(id="seen", before=base, after=seen))
        told = await world.process.commands.delete(base.id, WishBody(), CALLER)
        assert "already deleted" in (told.accepted.message or "")
        ours = await loaded(world, base.id)
        there = replace(base, wants=Wish.STOPPED, stopped_at=world.now(), revision=base.revision + 3)
        met = merged(base, ours, there)
        assert (met.wants, met.machine) == (Wish.DELETED, None)


async def test_where_nobody_is_away_it_changes_nothing(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        instance = (await world.record()).id
        await world.delete()
        while status(before := await loaded(world, instance)) is not Status.DELETED:
            await world.passes(minutes=1)
        await world.process.commands.delete(instance, WishBody(), CALLER)
        assert await loaded(world, instance) == before
