"""A process cut off, or badly answered, at every await from the log to a saved answer: nothing is lost, and what is
sent again bears the same `webhook-id`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from novita_gpu.domain.endpoint import Endpoint
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Delivery, StoreError, Unavailable, addressed
from novita_gpu.webhooks import Fan, Receivers, Sender
from novita_gpu.webhooks.receivers import Receiver as Known
from novita_gpu.webhooks.schedule import SCHEDULE, Reply
from novita_gpu.webhooks.sender import LEASE
from tests.prove.replica import store_on
from tests.valkey import forget, new_prefix
from tests.webhooks.outbox import STARTED_AT, Clock, an_event
from tests.webhooks.receiver import SECRET, Receiver, listening
from tests.world import Blade, CutWire, Killed

Trouble = Literal["killed", "lost", "unheard"]
TROUBLES: tuple[Trouble, ...] = ("killed", "lost", "unheard")
# Told to an instance's receiver and to a registered endpoint; and one that only the endpoint takes.
EXPECTED = {"msg_1", "msg_1_1", "msg_2_1"}


class Fate(Blade):
    """One trouble at one await. Once killed, nothing of that process happens any more."""

    def __init__(self, number: int | None, trouble: Trouble) -> None:
        super().__init__()
        self._number, self._trouble, self.dead = number, trouble, False

    async def before(self, name: str, effect: Callable[[], Awaitable[Any]]) -> Any:
        if self.dead:
            raise Killed("is dead")
        self.names.append(name)
        if len(self.names) - 1 != self._number:
            return await effect()
        if self._trouble == "killed":
            self.dead = True
            raise Killed(name)
        if self._trouble == "unheard":
            await effect()
        raise (aiohttp.ClientConnectionError if name in {"post", "answer"} else Unavailable)(name)


def session_of(fate: Fate) -> aiohttp.ClientSession:
    """Before a request goes out, and once its answer is there, is an await like any other."""

    async def nothing() -> None: ...

    async def start(*_: object) -> None:
        await fate.before("post", nothing)

    async def end(*_: object) -> None:
        await fate.before("answer", nothing)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(start)
    trace.on_request_end.append(end)
    return aiohttp.ClientSession(trace_configs=[trace])


class World:
    """A store with two events that are to be told, two receivers, and processes that try."""

    def __init__(self, url: str, prefix: str, store: Store, sender: type[Sender]) -> None:
        self.url, self.prefix, self.store, self._sender = url, prefix, store, sender
        self.clock = Clock()
        self._ids = 0

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"

    async def begin(self, own: Receiver, endpoint: Receiver) -> None:
        made = Endpoint(id="whe_1", url=endpoint.url, secret=SECRET, created_at=STARTED_AT, updated_at=STARTED_AT)
        await self.store.endpoints.add(made)
        first, second = an_event(1), an_event(2)
        await self.store.events.append(first, [addressed(first, own.url)])
        await self.store.events.append(second)

    async def live(self, fate: Fate) -> None:
        """One process that drains until nothing is due; it may end before."""
        wire, others = CutWire(self.url, fate), asyncio.all_tasks()
        store = store_on(wire, self.prefix, self.clock, self.new_id, asyncio.sleep)
        sender = self._sender(
            store.deliveries,
            lambda delivery: store.events.event(delivery.sequence),
            Receivers(store.endpoints, (SECRET,), self.clock, self.new_id),
            lambda: session_of(fate),
            self.clock,
            lambda: 0.0,
        )
        with suppress(Killed, StoreError):
            await Fan(store).spread()
            await sender.drain(self.clock.now)
            await sender.settle()
        await sender.aclose()
        await asyncio.gather(*(asyncio.all_tasks() - others), return_exceptions=True)
        await wire.close()

    async def deliveries(self) -> list[Delivery]:
        return (await self.store.deliveries.newest())[0]


async def lived(url: str, fate: Fate, sender: type[Sender] = Sender) -> list[str]:
    """What went wrong in a life with this fate and the undisturbed ones after it."""
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)  # of the tasks that died with their process
    refusals = {"msg_1": 1}  # the first try of one is refused, so that a second is due

    def answer(request: web.Request) -> web.Response:
        name = request.headers["webhook-id"]
        refusals[name] = refusals.get(name, 0) - 1
        return web.Response(status=500 if refusals[name] >= 0 else 204)

    prefix = new_prefix()
    async with (
        open_store(url, prefix=prefix) as store,
        listening(Receiver(answer)) as own,
        listening(Receiver()) as other,
    ):
        world = World(url, prefix, store, sender)
        await world.begin(own, other)
        await world.live(fate)
        for pause in (LEASE, SCHEDULE[1], SCHEDULE[2]):
            world.clock.turn(pause + timedelta(seconds=1))
            await world.live(Fate(None, "killed"))
        faults = verdict(await world.deliveries(), own.ids + other.ids)
        await forget(store)
    return faults


def verdict(deliveries: list[Delivery], heard: list[str]) -> list[str]:
    faults = [f"{each.id} is {each.state}" for each in deliveries if each.state != "delivered"]
    faults += [f"{name} never came" for name in EXPECTED - set(heard)]
    faults += [f"{name} came, which nobody knows" for name in set(heard) - EXPECTED]
    twice = {name: heard.count(name) for name in EXPECTED if heard.count(name) > 2 + (name == "msg_1")}
    return faults + [f"{name} came {count} times for one trouble" for name, count in twice.items()]


async def awaits(url: str) -> list[str]:
    """What an undisturbed life awaits, in order."""
    fate = Fate(None, "killed")
    assert await lived(url, fate) == []
    return fate.names


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_t10_whatever_await_is_cut_or_badly_answered_all_is_told_in_the_end(
    valkey_url: str, trouble: Trouble
) -> None:
    names = await awaits(valkey_url)
    assert {"fan", "due", "save", "post", "answer"} <= set(names)
    faults = {
        f"{number} {name}": found
        for number, name in enumerate(names)
        if (found := await lived(valkey_url, Fate(number, trouble)))
    }
    assert faults == {}


class Hasty(Sender):
    """Writes down that it has sent before it has."""

    async def _send_and_save(self, delivery: Delivery) -> None:
        told = await self._deliveries.save(replace(delivery, state="delivered"))
        await self._send(told, await self._event_of(delivery), await self._receivers.of(delivery))


class Fresh(Sender):
    """Gives each try an id of its own."""

    async def _send(self, delivery: Delivery, event: Any, receiver: Known) -> Reply:
        return await super()._send(replace(delivery, id=f"{delivery.id}_{len(delivery.tries)}"), event, receiver)


@pytest.mark.parametrize("planted", [Hasty, Fresh])
async def test_a_sender_that_loses_or_renames_is_found(valkey_url: str, planted: type[Sender]) -> None:
    number = (await awaits(valkey_url)).index("post")
    found = [await lived(valkey_url, Fate(at, "killed"), planted) for at in range(number - 4, number + 4)]
    assert any("came" in fault for faults in found for fault in faults)
