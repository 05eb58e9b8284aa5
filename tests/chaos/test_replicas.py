"""Three replicas on one Redis, hundreds of instances on their way, and every few seconds one replica is killed.

`SECONDS_OF_REPLICAS` says for how long; without it this is skipped. `SEED` makes other choices.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from novita_gpu.client import ApiError, Client
from novita_gpu.placement import utc_now
from novita_gpu.store import open_store
from tests.chaos.callers import Person, Promises, client_of
from tests.chaos.overdue import Overdue
from tests.chaos.processes import Kept, answering, command, durable_store, free_port, settings, simulated_cloud
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
    running_beside,
)
from tests.chaos.verdict import UNEXPECTED, repeated_creates, unordered

SECONDS = float(os.environ.get("SECONDS_OF_REPLICAS", "0"))
REPLICAS, INSTANCES, SPOT_EVERY = 3, 300, 5
KILL_EVERY_S = 10.0
RECLAIM_EVERY_S = 4.0
# Between two requests about one instance.
PAUSE_S = (5.0, 40.0)
QUIET_S = 30.0
HEARD_WITHIN_S = 1.0
# A killed replica's pass is another's by then; how long that took itself is not lost.
LOST_AT_MOST_S = 15.0
# Started again, a machine that was taken before has lost its place.
SPOT: dict[str, Any] = {
    "billing_mode": "spot",
    "recovery": {"on_reclaim": "migrate"},
    "on_start_capacity": "migrate",
}
# Statuses in which some instance must have been when replicas were killed.
PHASES = {"creating", "running", "ready", "starting", "stopping", "stopped", "deleting", "migrating"}


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """Each with API and worker. `clients` ask one each."""

    plane: Plane
    clients: Sequence[Client]
    overdue: Overdue


@pytest.mark.skipif(not SECONDS, reason="make chaos")
@pytest.mark.timeout(SECONDS + 2 * AT_REST_WITHIN_S + QUIET_S + 180)
async def test_a_replica_killed_every_ten_seconds_loses_and_doubles_nothing_and_no_pass_waits_long(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """N1, N2, N4, N7, N12, T2, T9."""
    promises = Promises()
    async with replicas(tmp_path) as there, following(there.plane.client) as heard:
        await storm(there, promises)
        ended = time.monotonic()
        await at_rest(there.plane, promises)
        rested_s = time.monotonic() - ended
        found = await aftermath(there.plane, promises, QUIET_S)
        await asyncio.sleep(HEARD_WITHIN_S)
        overdue = there.overdue
    (tmp_path / "late.txt").write_text("\n".join((*overdue.story, *map(str, overdue.killed.items()))))
    figure(f"replicas, {SECONDS:g} s, seed {SEED}: {kills(there.plane)}; at rest {rested_s:.0f} s after")
    figure(f"replicas: {promises.answers.total()} requests answered, {instances(promises)}")
    figure(f"replicas: at a time {overdue.phases()}")
    figure(
        f"replicas: of {len(overdue.late)} passes that were seen due the longest waited {overdue.longest_s:.1f} s, "
        f"{overdue.lost_s:.1f} s of it after the last kill of who had it; {overdue.above(LOST_AT_MOST_S)} above 15 s"
    )
    figure(f"replicas: {machines(found)}, {len(found.events)} events, {len(found.calls)} calls to the cloud")
    assert found.wrong == []
    assert not found.disturbed
    assert promises.broken == []
    assert promises.forgotten == []
    assert unordered(found.events) == []
    assert [event.id for event in heard] == [event.id for event in found.events]
    assert [event for event in found.events if event.type in UNEXPECTED] == []
    assert repeated_creates(found.calls) == []
    assert deaths(there.plane) == {}
    assert overdue.seen.keys() >= PHASES
    assert overdue.lost_s < LOST_AT_MOST_S


@asynccontextmanager
async def replicas(folder: Path) -> AsyncGenerator[Replicas]:
    """A cloud with room for all, a durable store, and services that each have API and worker."""
    cloud_port, ports = free_port(), [free_port() for _ in range(REPLICAS)]
    async with AsyncExitStack() as stack:
        socket = Path(stack.enter_context(TemporaryDirectory(prefix="ngpu-"))) / "s"
        cloud = await stack.enter_async_context(
            simulated_cloud(folder, cloud_port, removedListedS=REMOVED_LISTED_S, removedKnownS=REMOVED_LISTED_S)
        )
        await cloud.do("stock", gpus=10 * INSTANCES)
        await cloud.do("balance", usd=1_000_000.0)
        await stack.enter_async_context(durable_store(folder, socket).running())
        programs: dict[str, Kept] = {}
        for number, port in enumerate(ports, 1):
            name = f"replica-{number}"
            given = {**settings(folder / name / "data", cloud_port), "REDIS_URL": f"unix://{socket}"}
            programs[name] = Kept(folder / name, name, *command("serve", "--port", str(port)), **given)
            await stack.enter_async_context(programs[name].running())
        clients = [await stack.enter_async_context(client_of(port)) for port in ports]
        await asyncio.gather(*(answering(client) for client in clients))
        store = await stack.enter_async_context(open_store(f"unix://{socket}"))
        overdue = Overdue(store, {})
        await stack.enter_async_context(running_beside(overdue.watch()))
        yield Replicas(plane=Plane(cloud=cloud, client=clients[0], programs=programs), clients=clients, overdue=overdue)


async def storm(there: Replicas, promises: Promises) -> None:
    """Ends when every request has been answered."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as all_of_them:
        asking = [all_of_them.create_task(person.go_on(over.is_set)) for person in people(there, promises)]
        raging = [
            all_of_them.create_task(one_by_one(there.plane.programs, there.overdue.killed, rng("kills"))),
            all_of_them.create_task(reclaims(there.plane, rng("reclaims"))),
        ]
        await asyncio.sleep(SECONDS)
        over.set()
        for one in raging:
            one.cancel()
        async with asyncio.timeout(AT_REST_WITHIN_S):
            await asyncio.wait(asking)


def people(there: Replicas, promises: Promises) -> Sequence[Person]:
    return [
        Person(
            there.clients[number % REPLICAS],
            f"w-{number}",
            SEED,
            promises,
            pause_s=PAUSE_S,
            **(SPOT if number % SPOT_EVERY == 0 else {}),
        )
        for number in range(INSTANCES)
    ]


async def one_by_one(programs: Mapping[str, Kept], killed: dict[int, datetime], chance: Random) -> None:
    """For ever: one at random is killed, wherever it stands."""
    while True:
        await asyncio.sleep(KILL_EVERY_S)
        one = programs[chance.choice(sorted(programs))]
        killed[one.pid] = utc_now()
        one.kill()


async def reclaims(plane: Plane, chance: Random) -> None:
    """For ever: a spot machine that is in use is taken, each one once."""
    taken: set[str] = set()
    while True:
        await asyncio.sleep(RECLAIM_EVERY_S)
        ready = [one async for one in plane.client.all(status="ready") if one.billing_mode == "spot"]
        left = [one for one in ready if one.id not in taken and one.novita_instance_id]
        if left:
            one = chance.choice(left)
            taken.add(one.id)
            with suppress(ApiError, AssertionError):  # it was deleted just now
                await plane.cloud.do("reclaim", instanceId=one.novita_instance_id, noticeSeconds=0)
