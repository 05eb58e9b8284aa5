"""What storms have in common: the programs under it, waiting until all is at rest, and what is found then."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from novita_gpu.cli.ending import UNREACHABLE
from novita_gpu.client import Client
from novita_gpu.client.answers import Event
from tests.chaos.callers import Promises
from tests.chaos.processes import KILLED, Cloud, Kept
from tests.chaos.verdict import MUTATIONS, instances_of, wrongs

SEED = os.environ.get("SEED", "7")
# The longest a lost answer holds up its instance is 35 s, and one wish may wait for two of them.
AT_REST_WITHIN_S = 120.0
LOOK_AGAIN_S = 1.0
# What is gone is still listed, as the cloud does: for longer than a delete is without an answer. What nobody saw going
# is only believed to be gone when it is five minutes old.
REMOVED_LISTED_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The service as several processes on one store. A store among the `programs` can be killed too."""

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


async def aftermath(plane: Plane, promises: Promises, quiet_s: float) -> Aftermath:
    """What is found after a while in which nobody wished anything."""
    before = await mutations(plane.cloud)
    await asyncio.sleep(quiet_s)
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


def deaths(plane: Plane) -> dict[str, list[int]]:
    """Ends that nobody caused, by program. Without its store a service cannot start, and says so."""
    ends = {
        name: [code for code in kept.codes if code not in {KILLED, UNREACHABLE}]
        for name, kept in plane.programs.items()
    }
    return {name: codes for name, codes in ends.items() if codes}


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
