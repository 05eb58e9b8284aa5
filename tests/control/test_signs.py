"""What health reads: by few commands, and of all processes."""

import asyncio
from datetime import UTC, datetime, timedelta

from novita_gpu.control.signs import Reading, Worker
from novita_gpu.store.pace import LOCAL
from tests.control.test_idle_check import Working
from tests.prove.replica import store_on
from tests.world import Blade, CutWire

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
# Each time; and before it, in one of three, what waits. The queue's own two are not the store's.
COMMANDS, WAITING = ["MGET", "HMGET"], ["ZRANGE"]

pytest_plugins = ("tests.valkey",)


async def test_a_process_without_a_worker_knows_whether_another_has_one(valkey_url: str, prefix: str) -> None:
    blade, now = Blade(), NOON
    store = store_on(CutWire(valkey_url, blade), prefix, lambda: now, lambda kind: f"{kind}_1", asyncio.sleep)
    idle, busy = Working(), Working()
    idle.answers = False
    async with store:
        api, worker = (Reading(store, queue, name, lambda: now) for queue, name in ((idle, "api"), (busy, "worker")))
        assert (await api.read()).worker is None
        await worker.read()
        now += timedelta(seconds=5)
        assert (await api.read()).worker == Worker(at=NOON, by="worker")


async def test_a_worker_that_begins_is_told_of_by_the_next_check(valkey_url: str, prefix: str) -> None:
    store = store_on(CutWire(valkey_url, Blade()), prefix, lambda: NOON, lambda kind: f"{kind}_1", asyncio.sleep)
    queue = Working()
    queue.answers = False
    async with store:
        reading = Reading(store, queue, "process", lambda: NOON)
        assert (await reading.read()).worker is None
        queue.answers = True
        assert (await reading.read()).worker == Worker(at=NOON, by="process")


async def test_a_check_costs_few_commands(valkey_url: str, prefix: str) -> None:
    blade, now = Blade(), NOON

    def clock() -> datetime:
        return now

    store = store_on(CutWire(valkey_url, blade), prefix, clock, lambda kind: f"{kind}_1", asyncio.sleep)
    idle, busy = Working(), Working()
    idle.answers = False
    async with store:
        for queue, first in ((idle, WAITING), (busy, ["SET", *WAITING])):
            reading = Reading(store, queue, "process", clock)
            for expected in (first + COMMANDS, COMMANDS, COMMANDS, first + COMMANDS):
                blade.names.clear()
                await reading.read()
                assert blade.names == expected
                now += LOCAL.health
