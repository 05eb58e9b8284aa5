"""What health reads: by few commands, and of all processes."""

import asyncio
from datetime import UTC, datetime, timedelta

from novita_gpu.control.signs import Reading, Worker
from tests.control.test_idle_check import Working
from tests.prove.replica import store_on
from tests.world import Blade, CutWire

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
# One more where a worker says that it is there. The queue's own two are not the store's.
COMMANDS = ["MGET", "HMGET", "ZRANGE"]

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


async def test_a_check_costs_few_commands(valkey_url: str, prefix: str) -> None:
    blade = Blade()
    store = store_on(CutWire(valkey_url, blade), prefix, lambda: NOON, lambda kind: f"{kind}_1", asyncio.sleep)
    idle, busy = Working(), Working()
    idle.answers = False
    async with store:
        await Reading(store, idle, "api", lambda: NOON).read()
        assert blade.names == COMMANDS
        blade.names.clear()
        await Reading(store, busy, "worker", lambda: NOON).read()
        assert blade.names == ["SET", *COMMANDS]
