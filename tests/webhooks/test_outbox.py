"""The sender on the real store."""

import asyncio
from datetime import timedelta

from aiohttp import web
from msgspec.structs import replace

from novita_gpu.egress import Networks, guarded_session
from novita_gpu.store import Store
from novita_gpu.store.base import Delivery
from novita_gpu.webhooks import Sender
from novita_gpu.webhooks.schedule import SCHEDULE
from novita_gpu.webhooks.sender import LEASE, PER_HOST
from tests.webhooks.outbox import STARTED_AT, Clock, Plainly, an_event, drained
from tests.webhooks.receiver import SECRET, Receiver, listening

BACKLOG = 600


def sender_of(store: Store, clock: Clock, jitter: float = 0.0) -> Sender:
    return Sender(
        store.deliveries,
        lambda delivery: store.events.event(delivery.sequence),
        Plainly(SECRET),
        lambda: guarded_session(Networks.parse("127.0.0.0/8")),
        clock,
        lambda: jitter,
    )


async def put(store: Store, number: int, url: str) -> str:
    event = an_event(number)
    delivery = Delivery(id=f"msg_{number}", event_id=event.id, url=url, due=STARTED_AT, created_at=STARTED_AT)
    await store.events.append(event, [delivery])
    return delivery.id


async def test_a_delivery_survives_the_process_with_its_tries(store: Store) -> None:
    answers = iter([500, 200])
    clock = Clock()
    async with listening(Receiver(lambda _: web.Response(status=next(answers)))) as receiver:
        name = await put(store, 1, receiver.url)
        first = sender_of(store, clock)
        assert await drained(first, clock.now) == clock.now + SCHEDULE[1]
        await first.aclose()
        second = sender_of(store, clock)
        assert await drained(second, clock.turn(SCHEDULE[1])) is None
        await second.aclose()
    kept = await store.deliveries.load(name)
    assert kept
    assert kept.state == "delivered"
    assert [made.status_code for made in kept.tries] == [500, 200]
    assert receiver.ids == [name, name]
    assert receiver.bodies[0]["data"]["sequence"] == kept.sequence


async def test_two_processes_send_each_delivery_once(store: Store) -> None:
    clock = Clock()
    async with listening(Receiver()) as receiver:
        names = [await put(store, number, receiver.url) for number in range(40)]
        one, other = sender_of(store, clock, 0.2), sender_of(store, clock, 0.7)
        await asyncio.gather(one.drain(clock.now), other.drain(clock.now))
        await asyncio.gather(one.settle(), other.settle())
        assert await drained(one, clock.now) is None
        await asyncio.gather(one.aclose(), other.aclose())
    assert sorted(receiver.ids) == sorted(names)


async def test_one_that_another_process_took_and_lost_is_sent_when_its_lease_ends(store: Store) -> None:
    clock = Clock()
    async with listening(Receiver()) as receiver:
        name = await put(store, 1, receiver.url)
        taken = await store.deliveries.load(name)
        assert taken
        await store.deliveries.save(replace(taken, due=clock.now + LEASE))
        sender = sender_of(store, clock)
        assert await drained(sender, clock.now) == clock.now + LEASE
        assert await drained(sender, clock.turn(LEASE)) is None
        await sender.aclose()
    assert receiver.ids == [name]


async def test_a_long_backlog_of_an_overloaded_receiver_is_put_off_at_once(store: Store) -> None:
    clock = Clock()
    busy = Receiver(lambda _: web.Response(status=503, headers={"Retry-After": "60"}))
    async with listening(busy), listening(Receiver()) as other:
        for number in range(BACKLOG):
            await put(store, number, busy.url)
        await put(store, BACKLOG, other.url)
        sender = sender_of(store, clock)
        assert await drained(sender, clock.now) == clock.now + timedelta(seconds=60)
        await sender.aclose()
    assert other.ids == [f"msg_{BACKLOG}"]
    assert len(busy.ids) <= 2 * PER_HOST
