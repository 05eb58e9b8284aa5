"""Real processes under load, killed at random moments, on a cloud that fails one call in twenty: all ends as wished.

`SECONDS_OF_CHAOS` says how long it storms; `SEED` makes other choices.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos import weather
from tests.chaos.callers import Person, Promises, client_of
from tests.chaos.processes import (
    Kept,
    answering,
    command,
    durable_store,
    free_port,
    settings,
    simulated_cloud,
)
from tests.chaos.scene import (
    AT_REST_WITHIN_S,
    REMOVED_LISTED_S,
    SEED,
    Plane,
    aftermath,
    at_rest,
    deaths,
    following,
    instances,
    kills,
    machines,
    rng,
    troubled,
)
from tests.chaos.verdict import UNEXPECTED, repeated_creates, unordered

SECONDS = float(os.environ.get("SECONDS_OF_CHAOS", "13"))
NAMES = 60
QUIET_S = min(60.0, SECONDS / 3)
# The stream tells an event as soon as the log has it.
HEARD_WITHIN_S = 1.0


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
        found = await aftermath(plane, promises, QUIET_S)
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
    assert promises.forgotten == []
    assert unordered(found.events) == []
    assert [event.id for event in heard] == [event.id for event in found.events]
    assert repeated_creates(found.calls) == []
    assert deaths(plane) == {}


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
        asking = [all_of_them.create_task(person.go_on(lambda: time.monotonic() > until)) for person in people]
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
