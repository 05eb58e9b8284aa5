"""Held until it is as wanted: no polling, and no wait outlives its reason."""

import asyncio

import pytest

from novita_gpu.api.app import end_held
from tests.api.served import Served, served, until
from tests.domain import given


async def test_what_is_so_already_is_answered_at_once(api: Served) -> None:
    record = await api.created()
    answer = await api.get(f"/api/instances/{record.id}/wait?for=creating&timeoutMs=1")
    assert (answer.status, answer.json["status"]) == (200, "creating")


async def test_it_is_answered_the_moment_it_is_so(api: Served) -> None:
    record = await api.created()
    waiting = asyncio.ensure_future(api.get(f"/api/instances/{record.name}/wait?for=ready&for=stopped"))
    await until(lambda: api.desk.waits.count)
    record = await api.becomes(record, given.running())
    assert not waiting.done()
    await api.becomes(record, given.ready())
    answer = await waiting
    assert (answer.status, answer.json["status"]) == (200, "ready")
    assert api.desk.waits.count == 0


async def test_a_failure_ends_it(api: Served) -> None:
    record = await api.created()
    waiting = asyncio.ensure_future(api.get(f"/api/instances/{record.id}/wait"))
    await until(lambda: api.desk.waits.count)
    await api.becomes(record, given.ready(deleted_at=given.at(99)))
    answer = await waiting
    assert (answer.status, answer.json["status"]) == (200, "deleted")


async def test_when_its_time_is_over_it_carries_the_instance(api: Served) -> None:
    record = await api.created()
    answer = await api.get(f"/api/instances/{record.id}/wait?timeoutMs=30")
    assert (answer.status, answer.code) == (408, "WAIT_TIMEOUT")
    assert answer.json["error"]["details"]["instance"]["id"] == record.id
    assert answer.json["error"]["retryable"] is True


async def test_after_counts_only_what_came_later(api: Served) -> None:
    record = await api.created()
    record = await api.becomes(record, given.ready())
    path = f"/api/instances/{record.id}/wait?timeoutMs=5000&after={record.sequence}"
    waiting = asyncio.ensure_future(api.get(path))
    await until(lambda: api.desk.waits.count)
    record = await api.becomes(record, given.running())
    await api.becomes(record, given.ready())
    answer = await waiting
    assert answer.status == 200
    assert answer.json["sequence"] > record.sequence


async def test_the_clients_going_ends_it(api: Served) -> None:
    record = await api.created()
    waiting = asyncio.ensure_future(api.get(f"/api/instances/{record.id}/wait?timeoutMs=60000"))
    await until(lambda: api.desk.waits.count)
    waiting.cancel()
    await until(lambda: not api.desk.waits.count)


async def test_the_servers_going_ends_it(api: Served) -> None:
    record = await api.created()
    waiting = asyncio.ensure_future(api.get(f"/api/instances/{record.id}/wait?timeoutMs=60000"))
    await until(lambda: api.desk.waits.count)
    end_held(api.app)
    assert (await waiting).status == 408


async def test_no_more_are_held_than_there_are_places(valkey: str) -> None:
    async with served(valkey, max_held=1) as api:
        record = await api.created()
        path = f"/api/instances/{record.id}/wait?timeoutMs=60000"
        waiting = asyncio.ensure_future(api.get(path))
        await until(lambda: api.desk.waits.count)
        refused = await api.get(path)
        assert (refused.status, refused.code) == (429, "RATE_LIMIT_EXCEEDED")
        assert "retry-after" in refused.headers
        waiting.cancel()


async def test_a_wait_costs_the_store_nothing(api: Served) -> None:
    record = await api.created()
    before = await api.commands_done()
    await api.get(f"/api/instances/{record.id}/wait?timeoutMs=300")
    assert await api.commands_done() - before < 10


@pytest.mark.parametrize("query", ["timeoutMs=0", "timeoutMs=60001", "for=nice", "for=", "after=-1"])
async def test_a_wrong_wait_is_refused(api: Served, query: str) -> None:
    record = await api.created()
    answer = await api.get(f"/api/instances/{record.id}/wait?{query}")
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
