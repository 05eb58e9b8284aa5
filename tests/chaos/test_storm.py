"""Real processes under load, killed at random moments, on a cloud that fails one call in twenty: all ends as wished.

`SECONDS_OF_CHAOS` says how long it storms; `SEED` makes other choices.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from novita_gpu.cli.ending import UNREACHABLE
from novita_gpu.client import Client
from novita_gpu.client.answers import Event
from tests.chaos import weather
from tests.chaos.callers import Person, Promises, client_of
from tests.chaos.processes import (
    KILLED,
    Cloud,
    Kept,
    answering,
    command,
    durable_store,
    free_port,
    settings,
    simulated_cloud,
)
from tests.chaos.verdict import MUTATIONS, UNEXPECTED, instances_of, repeated_creates, unordered, wrongs

SECONDS = float(os.environ.get("SECONDS_OF_CHAOS", "13"))
SEED = os.environ.get("SEED", "7")
NAMES = 60
# The longest a lost answer holds up its instance is 35 s, and one wish may wait for two of them.
AT_REST_WITHIN_S = 120.0
QUIET_S = min(60.0, SECONDS / 3)
LOOK_AGAIN_S = 1.0
# The stream tells an event as soon as the log has it.
HEARD_WITHIN_S = 1.0
# What is gone is still listed, as the cloud does: for longer than a delete is without an answer. What nobody saw going
# is only believed to be gone when it is five minutes old.
REMOVED_LISTED_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The service as several processes on one store. `store` is among the `programs` that can be killed."""

    cloud: Cloud
    client: Client
    programs: Mapping[str, Kept]


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """All that was done and said, once everything was still."""

    wrong: list[str]
    disturbed: bool  # something was done to the cloud although all was at rest
    events: list[Event]
    calls: list[Any]
    books: Any


@pytest.mark.timeout(SECONDS + 2 * AT_REST_WITHIN_S + QUIET_S + 120)
async def test_after_a_storm_of_kills_and_faults_all_is_as_wished(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """N1, N2, N4, N6, N7, N12, N24, T2, T9. What the cloud was asked stays in `calls.json`."""
    promises = Promises()
    async with served(tmp_path) as plane, following(plane.client) as heard:
        began = time.monotonic()
        await storm(plane, promises)
        answered = time.monotonic()
        await at_rest(plane, promises)
        rested = time.monotonic()
        found = await aftermath(plane, promises)
        await asyncio.sleep(HEARD_WITHIN_S)
    (tmp_path / "calls.json").write_text(json.dumps(found.calls))
    took = f"{answered - began - SECONDS:.0f} s after it all is answered and {rested - began - SECONDS:.0f} s at rest"
    figure(f"storm of {SECONDS:g} s, seed {SEED}: {kills(plane)}; {took}")
    figure(f"storm: {promises.answers.total()} requests answered, {instances(promises)}")
    figure(f"storm: {troubled(found.calls)}, {machines(found)}")
    figure(f"storm: {len(found.events)} events, {sum(e.type in UNEXPECTED for e in found.events)} of them blame others")
    assert found.wrong == []
    assert not found.disturbed
    assert promises.broken == []
    assert unordered(found.events) == []
    assert [event.id for event in heard] == [event.id for event in found.events]
    assert repeated_creates(found.calls) == []
    assert {name: deaths(kept) for name, kept in plane.programs.items() if deaths(kept)} == {}


@asynccontextmanager
async def served(folder: Path) -> AsyncGenerator[Plane]:
    """A cloud, a store, one API and two workers, each a process."""
    cloud_port, port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        socket = Path(stack.enter_context(TemporaryDirectory(prefix="ngpu-"))) / "s"
        cloud = await stack.enter_async_context(
            simulated_cloud(folder, cloud_port, removedListedS=REMOVED_LISTED_S, removedKnownS=REMOVED_LISTED_S)
        )
        redis = {"REDIS_URL": f"unix://{socket}"}

        def service(name: str, *words: str) -> Kept:
            given = settings(folder / name / "data", cloud_port)
            return Kept(folder / name, name, *command(*words), **given, **redis)

        programs = (
            durable_store(folder, socket),
            service("api", "serve", "--no-worker", "--port", str(port)),
            service("worker-1", "work"),
            service("worker-2", "work"),
        )
        for program in programs:
            await stack.enter_async_context(program.running())
        client = await stack.enter_async_context(client_of(port))
        await answering(client)
        yield Plane(cloud=cloud, client=client, programs={program.name: program for program in programs})


async def storm(plane: Plane, promises: Promises) -> None:
    """Ends when every request has been answered."""
    until = time.monotonic() + SECONDS
    people = [Person(plane.client, f"w-{number}", SEED, promises) for number in range(NAMES)]
    async with asyncio.TaskGroup() as all_of_them:
        asking = [all_of_them.create_task(person.go_on(until)) for person in people]
        weathers = (
            weather.kills(plane.programs, rng("kills")),
            weather.trouble(plane.cloud, rng("trouble")),
            weather.stale_listings(plane.cloud, rng("stale")),
        )
        raging = [all_of_them.create_task(one) for one in weathers]
        await asyncio.sleep(SECONDS)
        for one in raging:
            one.cancel()
        await plane.cloud.do("faults/clear")
        async with asyncio.timeout(AT_REST_WITHIN_S):
            await asyncio.wait(asking)


def rng(role: str) -> Random:
    return Random(f"{SEED} {role}")  # noqa: S311 - the same choices at each run


@asynccontextmanager
async def following(client: Client) -> AsyncGenerator[list[Event]]:
    """All events as a stream tells them, through every kill."""
    heard: list[Event] = []

    async def listen() -> None:
        async for event in client.events(follow=True, after=0):
            heard.append(event)  # noqa: PERF401 - read while it grows

    async with running_beside(listen()):
        yield heard


@asynccontextmanager
async def running_beside(endless: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(endless)
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def at_rest(plane: Plane, promises: Promises) -> None:
    """Returns when nothing is wrong any more, else late: what is wrong then is judged by the test."""
    with suppress(TimeoutError):
        async with asyncio.timeout(AT_REST_WITHIN_S):
            while await judged(plane, promises):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK_AGAIN_S)


async def judged(plane: Plane, promises: Promises) -> list[str]:
    return wrongs(promises.wanted, await instances_of(plane.client, promises.wanted), await plane.cloud.audit())


async def aftermath(plane: Plane, promises: Promises) -> Aftermath:
    """What is found after a while in which nobody wished anything."""
    before = await mutations(plane.cloud)
    await asyncio.sleep(QUIET_S)
    return Aftermath(
        wrong=await judged(plane, promises),
        disturbed=await mutations(plane.cloud) != before,
        events=[event async for event in plane.client.events()],
        calls=(await plane.cloud.ask("calls"))["calls"],
        books=await plane.cloud.audit(),
    )


async def mutations(cloud: Cloud) -> dict[str, int]:
    counts = await cloud.counts()
    return {op: counts.get(op, 0) for op in MUTATIONS}


def deaths(kept: Kept) -> list[int]:
    """Ends that nobody caused. Without its store a service cannot start, and says so."""
    return [code for code in kept.codes if code not in {KILLED, UNREACHABLE}]


def kills(plane: Plane) -> str:
    by_name = {name: kept.codes.count(KILLED) for name, kept in plane.programs.items()}
    return f"{sum(by_name.values())} kills ({', '.join(f'{name} {times}' for name, times in by_name.items())})"


def instances(promises: Promises) -> str:
    ends = Counter(promises.wanted.values())
    return f"{ends.total()} instances ({', '.join(f'{times} {end}' for end, times in ends.items())})"


def troubled(calls: Sequence[Any]) -> str:
    faults = sum(1 for call in calls if call["fault"])
    return f"{len(calls)} calls to the cloud, {faults} of them faulty ({faults / len(calls):.1%})"


def machines(found: Aftermath) -> str:
    leaked = sum(line.startswith("leaked") for line in found.wrong)
    made, doubled = found.books["everCreated"], len(found.books["duplicates"])
    return f"{made} machines created, {doubled} doubled, {leaked} leaked"
