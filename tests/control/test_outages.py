"""An outage is told of when it begins and when it is over: once, whoever saw it, and not in a flutter."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from novita_gpu.cloud.base import Lane
from novita_gpu.cloud.circuit import KINDS, Condition
from novita_gpu.control.outages import CALM, FACTS, LEASE, Outage, Outages, outage_of
from novita_gpu.domain.events import EventType
from novita_gpu.store.base import Unavailable
from tests.prove.replica import store_on
from tests.world import Blade, CutWire, nothing

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
OPENED, CLOSED = EventType.CIRCUIT_OPENED, EventType.CIRCUIT_CLOSED


class Hand:
    """A clock, and the circuits of any number of processes, as a test sets them."""

    def __init__(self, url: str, prefix: str) -> None:
        self.blade, self.now = Blade(), NOON
        self.store = store_on(CutWire(url, self.blade), prefix, lambda: self.now, self.new_id, asyncio.sleep)
        self._numbers = count(1)

    def process(self, owner: str) -> "One":
        return One(self, owner)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers)}"

    async def told(self) -> list[EventType]:
        return [event.type for event in await self.store.events.read()]

    async def looked(self, *processes: "One", seconds: float = 0) -> None:
        """Each looks, and again each second for so long."""
        for _ in range(int(seconds) + 1):
            for process in processes:
                await process.outages.check()
            self.now += timedelta(seconds=1)


class One:
    def __init__(self, hand: Hand, owner: str) -> None:
        self._hand, self.out = hand, dict[Lane, datetime]()
        self.outages = Outages(hand.store, self.circuits, owner=owner, now=lambda: hand.now, new_id=hand.new_id)

    def circuits(self) -> list[Condition]:
        return [self._one(lane) for lane in KINDS]

    def _one(self, lane: Lane) -> Condition:
        since = self.out.get(lane)
        if since is None:
            return Condition(lane=lane, state="closed")
        return Condition(lane=lane, state="open", out_for=self._hand.now - since, fault="time-out")

    def goes_out(self, lane: Lane = Lane.LOOKING) -> None:
        self.out[lane] = self._hand.now

    def is_back(self) -> None:
        self.out.clear()

    async def starts(self) -> None:
        """It reads what is written down, as health does."""
        self.outages.found(await stored(self._hand))


async def stored(hand: Hand) -> list[Outage | None]:
    return [outage_of(one) for one in await hand.store.facts.several(*FACTS.values())]


@pytest.fixture
async def hand(valkey_url: str, prefix: str) -> AsyncGenerator[Hand]:
    hand = Hand(valkey_url, prefix)
    async with hand.store:
        yield hand


async def test_an_outage_is_told_of_once_by_all_processes(hand: Hand) -> None:
    ones = [hand.process(name) for name in ("a", "b", "c")]
    for one in ones:
        one.goes_out()
    await hand.looked(*ones, seconds=300)
    assert await hand.told() == [OPENED]
    for one in ones:
        one.is_back()
    await hand.looked(*ones, seconds=90)
    opened, closed = await hand.store.events.read()
    assert (opened.type, closed.type) == (OPENED, CLOSED)
    assert opened.at == NOON
    assert opened.facts == {"kind": "reads", "fault": "time-out"}
    assert opened.reason == "the cloud does not answer reads: time-out; they are paused"
    assert closed.facts == {"kind": "reads", "seconds": "301"}
    assert closed.at == NOON + timedelta(seconds=301)
    assert await hand.store.facts.several(*FACTS.values()) == [None, None, None]


async def test_a_circuit_that_flutters_is_one_outage(hand: Hand) -> None:
    one = hand.process("a")
    for _ in range(20):
        one.goes_out()
        await hand.looked(one, seconds=5)
        one.is_back()
        await hand.looked(one, seconds=CALM.total_seconds() / 2)
    assert await hand.told() == [OPENED]
    await hand.looked(one, seconds=CALM.total_seconds())
    assert await hand.told() == [OPENED, CLOSED]


async def test_each_kind_of_call_has_an_outage_of_its_own(hand: Hand) -> None:
    one = hand.process("a")
    one.goes_out(Lane.LOOKING)
    one.goes_out(Lane.SAVING)
    await hand.looked(one)
    assert [event.facts["kind"] for event in await hand.store.events.read()] == ["reads", "stops"]


async def test_the_end_is_told_though_its_teller_was_killed(hand: Hand) -> None:
    killed, other = hand.process("a"), hand.process("b")
    killed.goes_out()
    await hand.looked(killed)
    told = await stored(hand)
    assert (killed.outages.elsewhere(told), other.outages.elsewhere(told)) == ([], ["reads"])
    hand.now += LEASE / 2
    await other.starts()
    await hand.looked(other, seconds=2 * CALM.total_seconds())
    assert await hand.told() == [OPENED]  # its teller may be there still
    hand.now += LEASE
    await other.starts()
    await hand.looked(other, seconds=CALM.total_seconds())
    assert await hand.told() == [OPENED, CLOSED]


async def test_who_is_out_when_the_teller_dies_goes_on_with_the_same_outage(hand: Hand) -> None:
    killed, other = hand.process("a"), hand.process("b")
    killed.goes_out()
    other.goes_out()
    await hand.looked(killed, other)
    await hand.looked(other, seconds=2 * LEASE.total_seconds())
    other.is_back()
    await hand.looked(other, seconds=2 * CALM.total_seconds())
    assert await hand.told() == [OPENED, CLOSED]


async def test_what_the_store_does_not_take_is_told_later(hand: Hand) -> None:
    one = hand.process("a")
    one.goes_out()

    async def away(name: str) -> None:
        if name == "append":
            raise Unavailable("out")

    hand.blade.meets = away
    with pytest.raises(Unavailable):
        await one.outages.check()
    hand.blade.meets = nothing
    hand.now += timedelta(seconds=30)
    await hand.looked(one)
    assert await hand.told() == [OPENED]


async def test_while_all_is_well_the_store_is_asked_nothing(hand: Hand) -> None:
    await hand.looked(hand.process("a"), seconds=100)
    assert hand.blade.names == []
