"""What the rest of the house relies on a doorbell for. The same for each that there is."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from novita_gpu.domain.instance import InstanceId
from tests.work.adapters import DOORBELLS, Doorbell

ONE, OTHER = InstanceId("ins_1"), InstanceId("ins_2")
SHORTLY = timedelta(seconds=1)
LATER = timedelta(hours=1)

outliving = pytest.mark.parametrize(
    "doorbell", [name for name, kind in DOORBELLS.items() if kind.outlives], indirect=True
)


@pytest.fixture(params=DOORBELLS)
async def doorbell(request: pytest.FixtureRequest, valkey_url: str, prefix: str) -> AsyncGenerator[Doorbell]:
    async with DOORBELLS[request.param].open(valkey_url, prefix) as opened:
        yield opened


async def test_a_ring_gives_one_pass(doorbell: Doorbell) -> None:
    async with doorbell.working():
        await doorbell.bell.ring(ONE)
        await doorbell.idle()
    assert doorbell.passes.count(ONE) == 1


async def test_rings_before_the_pass_begins_are_one(doorbell: Doorbell) -> None:
    for _ in range(5):
        await doorbell.bell.ring(ONE)
    async with doorbell.working():
        await doorbell.idle()
    assert doorbell.passes.count(ONE) == 1


async def test_a_ring_after_a_pass_gives_another(doorbell: Doorbell) -> None:
    async with doorbell.working():
        for _ in range(3):
            await doorbell.bell.ring(ONE)
            await doorbell.idle()
    assert doorbell.passes.count(ONE) == 3


async def test_rings_during_a_pass_give_exactly_one_more_and_never_two_at_once(doorbell: Doorbell) -> None:
    """N12"""
    passes = doorbell.passes
    async with doorbell.working():
        passes.hold()
        await doorbell.bell.ring(ONE)
        await doorbell.until(lambda: passes.count(ONE) == 1)
        for _ in range(5):
            await doorbell.bell.ring(ONE)
        await doorbell.bell.ring(OTHER)
        await doorbell.until(lambda: passes.count(OTHER) == 1)
        assert passes.count(ONE) == 1
        passes.let_go()
        await doorbell.idle()
    assert passes.count(ONE) == 2
    assert passes.most_at_once[ONE] == 1


async def test_different_instances_pass_at_the_same_time(doorbell: Doorbell) -> None:
    """L1"""
    instances = [InstanceId(f"ins_{number}") for number in range(20)]
    passes = doorbell.passes
    async with doorbell.working():
        passes.hold()
        for instance in instances:
            await doorbell.bell.ring(instance)
        await doorbell.until(lambda: passes.under_way.total() == len(instances))
        passes.let_go()
        await doorbell.idle()
    assert [passes.count(instance) for instance in instances] == [1] * len(instances)


async def test_an_alarm_comes_at_its_time_and_not_earlier(doorbell: Doorbell) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        await doorbell.bell.alarm(ONE, at)
        await doorbell.idle()
    (began,) = doorbell.passes.begun[ONE]
    assert at <= began <= at + doorbell.late_by


async def test_an_alarm_that_is_over_already_comes_at_once(doorbell: Doorbell) -> None:
    async with doorbell.working():
        began = doorbell.now()
        await doorbell.bell.alarm(ONE, began - LATER)
        await doorbell.idle()
    (began_at,) = doorbell.passes.begun[ONE]
    assert began_at <= began + doorbell.late_by


@pytest.mark.parametrize("before", [SHORTLY / 2, LATER])
async def test_an_alarm_replaces_the_one_before(doorbell: Doorbell, before: timedelta) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        await doorbell.bell.alarm(ONE, doorbell.now() + before)
        await doorbell.bell.alarm(ONE, at)
        await doorbell.idle()
    (began,) = doorbell.passes.begun[ONE]
    assert at <= began <= at + doorbell.late_by


async def test_alarms_of_different_instances_do_not_replace_each_other(doorbell: Doorbell) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        await doorbell.bell.alarm(ONE, at)
        await doorbell.bell.alarm(OTHER, at)
        await doorbell.idle()
    assert (doorbell.passes.count(ONE), doorbell.passes.count(OTHER)) == (1, 1)


async def test_many_alarms_come_each_at_its_time(doorbell: Doorbell) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        many = {InstanceId(f"ins_{number}"): at for number in range(250)}
        await doorbell.bell.alarms(many, anew=True)
        await doorbell.idle()
    assert all(len(times) == 1 and at <= times[0] for times in doorbell.passes.begun.values())
    assert set(doorbell.passes.begun) == set(many)


@pytest.mark.parametrize("anew", [True, False])
async def test_of_many_alarms_one_that_is_there_is_replaced_only_if_anew(doorbell: Doorbell, anew: bool) -> None:
    async with doorbell.working():
        first, second = doorbell.now() + SHORTLY, doorbell.now() + 2 * SHORTLY
        await doorbell.bell.alarm(ONE, first)
        await doorbell.bell.alarms({ONE: second, OTHER: first}, anew=anew)
        await doorbell.idle()
    ((began,), (other,)) = (doorbell.passes.begun[one] for one in (ONE, OTHER))
    assert (began >= second) is anew
    assert first <= other


@pytest.mark.parametrize("alarm_first", [True, False])
async def test_an_alarm_and_a_ring_do_not_swallow_each_other(doorbell: Doorbell, alarm_first: bool) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        if alarm_first:
            await doorbell.bell.alarm(ONE, at)
        await doorbell.bell.ring(ONE)
        if not alarm_first:
            await doorbell.bell.alarm(ONE, at)
        await doorbell.idle()
    _, last = doorbell.passes.begun[ONE]
    assert at <= last


async def test_an_alarm_that_falls_due_during_a_pass_gives_one_more_and_never_two_at_once(doorbell: Doorbell) -> None:
    """N12"""
    passes = doorbell.passes
    async with doorbell.working():
        passes.hold()
        await doorbell.bell.ring(ONE)
        await doorbell.until(lambda: passes.count(ONE) == 1)
        at = doorbell.now() + SHORTLY
        await doorbell.bell.alarm(ONE, at)
        await doorbell.bell.alarm(OTHER, at)
        await doorbell.until(lambda: passes.count(OTHER) == 1)
        passes.let_go()
        await doorbell.idle()
    assert passes.count(ONE) == 2
    assert passes.most_at_once[ONE] == 1


async def test_however_many_ask_one_slot_has_one_look(doorbell: Doorbell) -> None:
    """L2"""
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        for _ in range(50):
            await doorbell.bell.look(at)
        await doorbell.idle()
    (began,) = doorbell.passes.looks
    assert at <= began <= at + doorbell.slot + doorbell.late_by


async def test_another_slot_has_a_look_of_its_own(doorbell: Doorbell) -> None:
    async with doorbell.working():
        at = doorbell.now() + SHORTLY
        await doorbell.bell.look(at)
        await doorbell.bell.look(at + 2 * doorbell.slot)
        await doorbell.idle()
    assert len(doorbell.passes.looks) == 2


@outliving
async def test_a_pass_whose_process_was_killed_comes_back(doorbell: Doorbell) -> None:
    """N2: whoever died in the middle of a pass, another one looks again."""
    await doorbell.dies_in_a_pass(ONE)
    died = doorbell.now()
    async with doorbell.working():
        await doorbell.until(lambda: doorbell.passes.count(ONE) == 1)
    (began,) = doorbell.passes.begun[ONE]
    assert began <= died + doorbell.redelivery + doorbell.late_by


@outliving
async def test_a_ring_after_such_a_death_is_not_lost_either(doorbell: Doorbell) -> None:
    await doorbell.dies_in_a_pass(ONE)
    async with doorbell.working():
        await doorbell.bell.ring(ONE)
        await doorbell.idle()
    assert doorbell.passes.count(ONE) >= 1
    assert doorbell.passes.most_at_once[ONE] == 1
