"""Two replicas on one Redis that goes out under load: killed for minutes and brought back, later standing still.

`SECONDS_WITHOUT_REDIS` says how long it is killed; without it this is skipped. `SEED` makes other choices.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from novita_gpu.client import ApiError, Client, NotReachable
from novita_gpu.client.answers import Event, Instance
from novita_gpu.client.transport import NO_RETRY
from tests.chaos.callers import Person, Promises, UntilAnswered, client_of
from tests.chaos.processes import Kept, answering, command, free_port, settings, simulated_cloud
from tests.chaos.scene import (
    AT_REST_WITHIN_S,
    REMOVED_LISTED_S,
    SEED,
    Plane,
    aftermath,
    at_rest,
    deaths,
    instances,
    machines,
    running_beside,
)
from tests.chaos.verdict import instances_of, repeated_creates
from tests.plane import KEY
from tests.server.shared import SharedServer, shared_server

SECONDS = float(os.environ.get("SECONDS_WITHOUT_REDIS", "0"))
STILL_S = SECONDS / 3
# Under load before, between and after.
CALM_S = 15.0
REPLICAS, NAMES = 2, 60
PAUSE_S = (0.5, 4.0)
QUIET_S = 20.0
# A few seconds: the server is believed to be out after two, then a private one starts.
ANSWERED_WITHIN_S = 8.0
TURNED_WITHIN_S = 30.0
READ_EVERY_S = 0.05


@dataclass
class Reader:
    """Somebody who looks at one replica all the time and never asks twice."""

    client: Client
    reads: int = 0
    failed: list[str] = field(default_factory=list[str])
    longest_s: float = 0.0

    async def go_on(self) -> None:
        """For ever."""
        while True:
            asked = time.monotonic()
            try:
                page = await self.client.list(limit=20)
                if page.instances:
                    await self.client.get(page.instances[0].id)
            except (ApiError, NotReachable) as error:
                self.failed.append(f"{error!r}")
            self.reads += 2
            self.longest_s = max(self.longest_s, time.monotonic() - asked)
            await asyncio.sleep(READ_EVERY_S)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`clients` and `readers` ask one replica each."""

    plane: Plane
    shared: SharedServer
    clients: Sequence[Client]
    readers: Sequence[Reader]
    heard: dict[str, Event]  # events that a private store told of
    away: list[tuple[float, float]]  # from when to when the shared store was out, by the monotonic clock
    vain: list[tuple[float, str, str]]
    figure: Callable[[str], None]

    async def turned(self, mode: str) -> float:
        """How long it took until the store of each is there."""
        begun = time.monotonic()
        async with asyncio.timeout(TURNED_WITHIN_S):
            while {await mode_of(client) for client in self.clients} != {mode}:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(READ_EVERY_S)
        return time.monotonic() - begun

    async def listen(self) -> None:
        """Takes in what the private stores tell."""
        for client in self.clients:
            self.heard.update({event.id: event async for event in client.events()})


async def mode_of(client: Client) -> str:
    return str((await client.health())["redis"]["mode"])


@pytest.mark.skipif(not SECONDS, reason="make chaos")
@pytest.mark.timeout(SECONDS + STILL_S + 4 * CALM_S + 4 * TURNED_WITHIN_S + 2 * AT_REST_WITHIN_S + 120)
async def test_redis_goes_out_for_minutes_and_reads_never_fail_and_no_answered_write_is_lost(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """N1, N2, N4, N7, T2, T9."""
    promises = Promises()
    async with pair(tmp_path, figure) as there:
        await storm(there, promises)
        await at_rest(there.plane, promises)
        found = await aftermath(there.plane, promises, QUIET_S)
        known = await instances_of(there.plane.client, promises.wanted)
    read = [(reader.reads, f"{reader.longest_s:.2f} s") for reader in there.readers]
    slowest = ", ".join(f"{verb} {took:.1f} s" for verb, (took, _) in sorted(promises.slowest.items()))
    figure(f"outage: {promises.answers.total()} requests answered, {instances(promises)}; slowest {slowest}")
    (tmp_path / "vain.txt").write_text("\n".join(map(str, (promises.slowest, there.away, *there.vain))))
    figure(f"outage: reads and the longest at each replica {read}, {sum(len(r.failed) for r in there.readers)} failed")
    figure(f"outage: {machines(found)}, {len(found.events)} events, {len(there.heard)} told by private stores")
    assert [reader.failed for reader in there.readers] == [[], []]
    assert found.wrong == []
    assert not found.disturbed
    assert promises.broken == []
    assert [one for one in promises.forgotten if not excused(there, *one[:2])] == []
    assert untold(found.events, there.heard, promises) == []
    assert unheard(known, promises) == []
    assert repeated_creates(found.calls) == []
    assert deaths(there.plane) == {}
    assert {verb: took for verb, (took, _) in promises.slowest.items() if took > ANSWERED_WITHIN_S} == {}


def excused(there: Pair, asked: float, answered: float) -> bool:
    """While the shared store is out, answers of before are not known: then a taken name is refused."""
    return any(asked <= back and answered >= went for went, back in there.away)


def untold(events: Sequence[Event], heard: dict[str, Event], promises: Promises) -> list[str]:
    """What is wrong with the log: lost and doubled events, sequences that go back, wishes of which nothing tells."""
    ids, sequences = [event.id for event in events], [event.sequence for event in events]
    lost = [f"lost: {event}" for event in heard.values() if event.id not in set(ids)]
    twice = [f"twice: {one}" for one in set(ids) if ids.count(one) > 1]
    back = ["sequences go back"] if sequences != sorted(set(sequences)) else []
    told = {event.data.operation_id for event in events}
    return [*lost, *twice, *back, *(f"nothing tells of {one}" for one in promises.operations - told)]


def unheard(known: dict[str, Instance], promises: Promises) -> list[str]:
    """Heartbeats of the present run that were answered, and are not there."""
    ready = {one.id: one for one in known.values() if one.status == "ready" and one.ready_at}
    of_this_run = {one: at for one, at in promises.beats.items() if one in ready and at >= (ready[one].ready_at or at)}
    return [one for one, at in of_this_run.items() if (last := ready[one].last_used_at) is None or last < at]


@asynccontextmanager
async def pair(folder: Path, figure: Callable[[str], None]) -> AsyncGenerator[Pair]:
    cloud_port, ports = free_port(), [free_port() for _ in range(REPLICAS)]
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            simulated_cloud(folder, cloud_port, removedListedS=REMOVED_LISTED_S, removedKnownS=REMOVED_LISTED_S)
        )
        await cloud.do("stock", gpus=10 * NAMES)
        await cloud.do("balance", usd=1_000_000.0)
        shared = await stack.enter_async_context(shared_server(folder / "redis"))
        programs: dict[str, Kept] = {}
        for number, port in enumerate(ports, 1):
            name = f"replica-{number}"
            given = {**settings(folder / name / "data", cloud_port), "REDIS_URL": shared.url, "LOG_LEVEL": "warning"}
            programs[name] = Kept(folder / name, name, *command("serve", "--port", str(port)), **given)
            await stack.enter_async_context(programs[name].running())
        retry = UntilAnswered()
        clients = [await stack.enter_async_context(client_of(port, retry)) for port in ports]
        await asyncio.gather(*(answering(client) for client in clients))
        readers: list[Reader] = []
        for port in ports:
            quick = await stack.enter_async_context(Client(f"http://127.0.0.1:{port}", KEY, retry=NO_RETRY))
            readers.append(Reader(quick))
            await stack.enter_async_context(running_beside(readers[-1].go_on()))
        plane = Plane(cloud=cloud, client=clients[0], programs=programs)
        yield Pair(
            plane=plane,
            shared=shared,
            clients=clients,
            readers=readers,
            heard={},
            away=[],
            vain=retry.vain,
            figure=figure,
        )


async def storm(there: Pair, promises: Promises) -> None:
    """Ends when every request has been answered."""
    over = asyncio.Event()
    people = [
        Person(there.clients[number % REPLICAS], f"w-{number}", SEED, promises, pause_s=PAUSE_S)
        for number in range(NAMES)
    ]
    async with asyncio.TaskGroup() as all_of_them:
        asking = [all_of_them.create_task(person.go_on(over.is_set)) for person in people]
        await asyncio.sleep(CALM_S)
        went = time.monotonic()
        there.shared.kill()
        await out(there, "killed", SECONDS)
        await there.shared.start()
        await back(there, went)
        went = time.monotonic()
        there.shared.stop_still()
        await out(there, "standing still", STILL_S)
        there.shared.go_on()
        await back(there, went)
        over.set()
        async with asyncio.timeout(AT_REST_WITHIN_S):
            await asyncio.wait(asking)


async def out(there: Pair, how: str, seconds: float) -> None:
    went = await there.turned("fallback")
    await asyncio.sleep(seconds)
    await there.listen()
    there.figure(f"outage, {how} for {seconds:g} s, seed {SEED}: both on private stores after {went:.1f} s")


async def back(there: Pair, since: float) -> None:
    came = await there.turned("redis")
    there.away.append((since, time.monotonic()))
    there.figure(f"outage: both on the shared store {came:.1f} s after it was back")
    await asyncio.sleep(CALM_S)
