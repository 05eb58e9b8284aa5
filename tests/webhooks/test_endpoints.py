"""Registered receivers on the real store: what they get, what it is signed with, and when they are switched off."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from msgspec.structs import replace

from novita_gpu.domain.endpoint import FAILS_FOR, ROTATES_FOR, Endpoint, rotated, switched
from novita_gpu.domain.events import Event, EventType
from novita_gpu.egress import Networks, guarded_session
from novita_gpu.store import Store
from novita_gpu.store.base import addressed
from novita_gpu.webhooks import Fan, Receivers, Sender
from novita_gpu.webhooks import fan as fanning
from novita_gpu.webhooks.receivers import OFF, REMOVED
from tests.webhooks.outbox import STARTED_AT, Clock, an_event, drained
from tests.webhooks.receiver import OLD_SECRET, SECRET, Receiver, listening, verified

NEW_SECRET = "whsec_" + "Bb1+" * 8


def sender_of(store: Store, clock: Clock) -> Sender:
    return Sender(
        store.deliveries,
        lambda delivery: store.events.event(delivery.sequence),
        Receivers(store.endpoints, (OLD_SECRET,), clock, lambda prefix: f"{prefix}_{clock.now.timestamp()}"),
        lambda: guarded_session(Networks.parse("127.0.0.0/8")),
        clock,
        lambda: 0.0,
    )


async def registered(store: Store, url: str, **fields: object) -> Endpoint:
    made = Endpoint(id="whe_1", url=url, secret=SECRET, created_at=STARTED_AT, updated_at=STARTED_AT)
    return await store.endpoints.add(replace(made, **fields))


async def happens(store: Store, number: int, type_: EventType = EventType.READY) -> Event:
    return await store.events.append(replace(an_event(number), type=type_, instance_id=None))


async def sequences(store: Store) -> list[int]:
    return sorted(delivery.sequence for delivery in (await store.deliveries.newest())[0])


async def test_each_gets_every_event_that_passes_its_filter_with_its_own_secret(store: Store) -> None:
    clock, fan = Clock(), Fan(store)
    async with listening(Receiver()) as receiver:
        await registered(store, receiver.url, types=(EventType.READY, EventType.FAILED))
        await registered(store, receiver.url, id="whe_2", enabled=False)
        for number, type_ in enumerate((EventType.CREATING, EventType.READY, EventType.UPDATED, EventType.FAILED), 1):
            await happens(store, number, type_)
        sender = sender_of(store, clock)
        await fan.spread()
        await fan.spread()
        assert await drained(sender, clock.now) is None
        await sender.aclose()
    assert sorted(receiver.ids) == ["msg_2_1", "msg_4_1"]
    assert sorted(body["type"] for body in receiver.bodies) == ["instance.failed", "instance.ready"]


async def test_an_endpoint_at_the_address_of_an_instances_receiver_is_told_beside_it(store: Store) -> None:
    await registered(store, "https://hook.example/")
    event = an_event(1)
    await store.events.append(event, [addressed(event, "https://hook.example/")])
    await Fan(store).spread()
    assert {delivery.id for delivery in (await store.deliveries.newest())[0]} == {"msg_1", "msg_1_1"}


async def test_a_long_log_is_told_in_stretches_and_each_event_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanning, "BATCH", 3)
    await registered(store, "https://hook.example/")
    for number in range(1, 9):
        await happens(store, number)
    await registered(store, "https://hook.example/", id="whe_2")
    await happens(store, 9)
    await asyncio.gather(*(Fan(store).spread() for _ in range(4)))
    assert await sequences(store) == [*range(1, 9), 9, 9]
    assert set((await store.endpoints.told()).values()) == {9}


async def test_what_happens_while_it_is_switched_off_is_not_sent_later(store: Store) -> None:
    endpoint = await registered(store, "https://hook.example/")
    endpoint = await store.endpoints.save(switched(endpoint, STARTED_AT, on=False))
    await happens(store, 1)
    await Fan(store).spread()
    await store.endpoints.save(switched(endpoint, STARTED_AT, on=True))
    await happens(store, 2)
    await Fan(store).spread()
    assert await sequences(store) == [2]


async def test_one_that_was_switched_on_or_changed_before_an_event_gets_it(store: Store) -> None:
    """The endpoints are read after the events, so a change that came before an event is known when it is told."""
    endpoint = await registered(store, "https://hook.example/", enabled=False)
    fan, read = Fan(store), store.events.read
    await happens(store, 1, EventType.UPDATED)

    async def meanwhile(after: int, limit: int) -> list[Event]:
        await store.endpoints.save(switched(endpoint, STARTED_AT, on=True))
        await happens(store, 2)
        return await read(after, limit)

    fan._events.read = meanwhile  # type: ignore[method-assign]
    await fan.spread()
    assert await sequences(store) == [2]


async def test_while_rotating_both_secrets_verify_and_then_only_the_new_one(store: Store) -> None:
    clock = Clock()
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def keep(request: web.Request) -> web.Response:
        seen.append((await request.read(), dict(request.headers)))
        return web.Response()

    receiver = Receiver()
    receiver.handle = keep  # type: ignore[method-assign]
    async with listening(receiver):
        endpoint = await registered(store, receiver.url)
        await store.endpoints.save(rotated(endpoint, NEW_SECRET, clock.now - ROTATES_FOR + timedelta(minutes=1)))
        sender = sender_of(store, clock)
        for number in (1, 2):
            await happens(store, number)
            await Fan(store).spread()
            await drained(sender, clock.now)
            clock.turn(timedelta(minutes=1))
        await sender.aclose()
    (both, its), (new, news) = seen
    for secret in (SECRET, NEW_SECRET):
        verified(secret, both, its)
    verified(NEW_SECRET, new, news)
    assert len(news["webhook-signature"].split()) == 1


@pytest.mark.parametrize("why", [OFF, REMOVED])
async def test_what_is_on_its_way_to_one_that_is_gone_ends_unsent(store: Store, why: str) -> None:
    clock = Clock()
    async with listening(Receiver()) as receiver:
        endpoint = await registered(store, receiver.url)
        await happens(store, 1)
        await Fan(store).spread()
        if why is OFF:
            await store.endpoints.save(switched(endpoint, clock.now, on=False))
        else:
            await store.endpoints.remove(endpoint.id)
        sender = sender_of(store, clock)
        assert await drained(sender, clock.now) is None
        await sender.aclose()
    assert receiver.ids == []
    delivery = (await store.deliveries.newest())[0][0]
    assert (delivery.state, delivery.tries[0].error) == ("exhausted", why)


async def test_one_that_fails_for_five_days_is_switched_off_with_an_event_and_told_nothing_more(store: Store) -> None:
    clock, receiver = Clock(), Receiver()
    receiver.handle = refusing([500])  # type: ignore[method-assign]
    async with listening(receiver):
        await registered(store, receiver.url)
        sender, day = sender_of(store, clock), timedelta(days=1)
        for number in range(1, 8):
            await happens(store, number)
            await Fan(store).spread()
            await drained(sender, clock.now)
            clock.turn(day)
        await sender.aclose()
    endpoint = (await store.endpoints.all())[0]
    assert not endpoint.enabled
    assert endpoint.failing_since == STARTED_AT
    (told,) = await store.events.read(type=EventType.ENDPOINT_OFF)
    assert told.facts["endpointId"] == "whe_1"
    assert told.at == STARTED_AT + FAILS_FOR
    assert 7 not in {delivery.sequence for delivery in (await store.deliveries.newest())[0]}


async def test_one_that_answers_gone_is_switched_off_with_an_event(store: Store) -> None:
    clock, receiver = Clock(), Receiver()
    receiver.handle = refusing([410])  # type: ignore[method-assign]
    async with listening(receiver):
        await registered(store, receiver.url)
        await happens(store, 1)
        await Fan(store).spread()
        sender = sender_of(store, clock)
        assert await drained(sender, clock.now) is None
        await sender.aclose()
    (endpoint,) = await store.endpoints.all()
    assert (endpoint.enabled, endpoint.off_reason) == (False, "it answered 410 Gone")
    (told,) = await store.events.read(type=EventType.ENDPOINT_OFF)
    assert told.reason == "it answered 410 Gone: switch it on again once it answers"


def refusing(answers: list[int]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=answers[0])

    return handle


async def test_one_that_succeeds_now_and_then_is_never_switched_off(store: Store) -> None:
    clock, answers = Clock(), [500]
    receiver = Receiver()
    receiver.handle = refusing(answers)  # type: ignore[method-assign]
    async with listening(receiver):
        await registered(store, receiver.url)
        sender = sender_of(store, clock)
        for number in range(1, 12):
            answers[0] = 200 if number % 4 == 0 else 500
            await happens(store, number)
            await Fan(store).spread()
            await drained(sender, clock.now)
            clock.turn(timedelta(days=1))
        await sender.aclose()
    assert (await store.endpoints.all())[0].enabled
    assert await store.events.read(type=EventType.ENDPOINT_OFF) == []
