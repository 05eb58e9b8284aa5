"""The operator's limits are held by the commit itself: whoever comes first has the room."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.domain.instance import Record, Run, RunKind, Seen, Wish
from novita_gpu.domain.limits import Limits, reserved
from novita_gpu.store import Store
from novita_gpu.store.base import Change, OverLimit
from tests.store.samples import NOON, attempt, closing, creation, machine, new_record, stop

PRICE = 35_000
RATE = PRICE * 24


async def made(store: Store, limits: Limits | None = None, **fields: Any) -> Record:
    return await store.records.commit(creation(replace(new_record(), dearest=PRICE, **fields), limits=limits))


async def test_what_is_reserved_is_the_sum_over_living_records(store: Store) -> None:
    first = await made(store)
    await made(store)
    assert await store.facts.reserved() == 2 * RATE
    stopped = await store.records.commit(stop(first))
    assert await store.facts.reserved() == RATE
    await store.records.commit(closing(stopped))
    assert await store.facts.reserved() == RATE


async def test_one_too_many_is_refused_with_the_figures_and_nothing_is_written(store: Store) -> None:
    limits = Limits(max_instances=1)
    kept = await made(store, limits)
    with pytest.raises(OverLimit) as refused:
        await made(store, limits)
    assert (refused.value.there.instances, refused.value.asked) == (2, RATE)
    assert await store.records.living() == [kept.id]
    assert await store.facts.reserved() == RATE


async def test_what_was_taken_in_or_a_lower_limit_keeps_no_other_from_going_on(store: Store) -> None:
    first, _ = await made(store), await made(store)
    intended = first.with_attempt(attempt(1, "dep/x/1"))
    await store.records.commit(Change(before=first, after=intended, limits=Limits(max_instances=1)))


async def test_of_many_at_once_as_many_are_taken_as_there_is_room_for(store: Store) -> None:
    limits = Limits(max_burn=3 * RATE + RATE // 2)
    answers = await asyncio.gather(*(made(store, limits) for _ in range(20)), return_exceptions=True)
    taken = [answer for answer in answers if isinstance(answer, Record)]
    assert len(taken) == 3
    assert all(isinstance(answer, OverLimit) for answer in answers if answer not in taken)
    assert await store.facts.reserved() == 3 * RATE


async def test_a_commit_without_limits_is_never_refused(store: Store) -> None:
    first = await made(store)
    await made(store)
    await store.records.commit(stop(first))
    assert await store.facts.reserved() == RATE


async def test_a_lowered_limit_has_room_again_once_somebody_waits_without_reserving(store: Store) -> None:
    limits = Limits(max_burn=RATE)
    first, other = await made(store), await made(store)
    intended = first.with_attempt(attempt(1, "dep/x/1"))
    with pytest.raises(OverLimit):
        await store.records.commit(Change(before=first, after=intended, limits=limits))
    waiting = replace(first, run=replace(first.run, no_room=True))
    first = await store.records.commit(Change(before=first, after=waiting))
    later = other.with_attempt(attempt(1, "dep/y/1"))
    await store.records.commit(Change(before=other, after=later, limits=limits))
    with pytest.raises(OverLimit):
        await store.records.commit(Change(before=first, after=intended, limits=limits))


async def test_the_same_commit_again_reserves_nothing_twice(store: Store) -> None:
    record = replace(new_record(), dearest=PRICE)
    change = replace(creation(record), id="once", limits=Limits(max_instances=1))
    first = await store.records.commit(change)
    assert await store.records.commit(change) == first
    assert await store.facts.reserved() == RATE


def _start(record: Record, _: int) -> Record:
    return replace(record, wants=Wish.RUNNING, run=Run(kind=RunKind.LAUNCH, asked_at=NOON))


def _no_room(record: Record, _: int) -> Record:
    return replace(record, run=replace(record.run, no_room=not record.run.no_room))


def _machine(record: Record, number: int) -> Record:
    return replace(record, machine=machine(f"m{number}"), seen=Seen(at=NOON, status="running"))


def _exit(record: Record, _: int) -> Record:
    return replace(record, seen=Seen(at=NOON, status="exited"))


def _lose(record: Record, _: int) -> Record:
    return replace(record, machine=None, seen=None)


def _stop(record: Record, _: int) -> Record:
    return replace(record, wants=Wish.STOPPED)


def _close(record: Record, _: int) -> Record:
    return replace(record, wants=Wish.DELETED, deleted_at=NOON)


MOVES: tuple[Callable[[Record, int], Record], ...] = (_start, _no_room, _machine, _exit, _lose, _stop, _close)


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_the_sum_is_right(store: Store, seed: int) -> None:
    chance, known = Random(seed), [await made(store) for _ in range(4)]  # noqa: S311 - the same at each run
    for number in range(60):
        place = chance.randrange(len(known))
        before = known[place]
        if before.deleted_at:
            known[place] = await made(store)
            continue
        after = chance.choice(MOVES)(before, number)
        known[place] = await store.records.commit(Change(before=before, after=after))
    assert await store.facts.reserved() == sum(map(reserved, known))
