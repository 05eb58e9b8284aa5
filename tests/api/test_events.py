"""What happened, by pages and as it happens."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.api.served import KEYS, Scope, Served, served, until
from tests.domain import given


class Stream:
    """One live stream, read frame by frame."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def frame(self) -> dict[str, str]:
        """The next frame that is more than a comment, as its fields."""
        while True:
            fields: dict[str, str] = {}
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "data" in fields:
                return fields

    async def event(self) -> dict[str, Any]:
        return msgspec.json.decode((await self.frame())["data"])

    async def line(self) -> str:
        return (await self.response.content.readline()).decode()


@asynccontextmanager
async def stream(api: Served, query: str = "", last: int | None = None) -> AsyncGenerator[Stream]:
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {KEYS[Scope.READ]}"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    async with api.http.get(f"{api.root}/api/events{query}", headers=headers) as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


async def types(api: Served, query: str) -> list[str]:
    answer = await api.get(f"/api/events?{query}", key=Scope.READ)
    assert answer.status == 200, answer.body
    return [event["type"] for event in answer.json["events"]]


async def test_the_log_is_read_by_pages_oldest_first(api: Served) -> None:
    for name in ("a", "b", "c"):
        await api.created(name)
    first = (await api.get("/api/events?limit=2")).json
    assert [event["data"]["sequence"] for event in first["events"]] == [1, 2]
    rest = (await api.get(f"/api/events?limit=2&after={first['nextAfter']}")).json
    assert [event["data"]["instance"]["name"] for event in rest["events"]] == ["c"]
    assert "nextAfter" not in rest


async def test_the_log_is_filtered(api: Served) -> None:
    a, b = await api.created("a"), await api.created("b")
    await api.becomes(a, given.ready())
    assert await types(api, "type=instance.ready") == ["instance.ready"]
    assert await types(api, f"instanceId={b.id}") == ["instance.creating"]
    assert await types(api, "instanceId=a") == ["instance.creating", "instance.ready"]
    timeline = (await api.get("/api/instances/a/events?after=0&limit=1")).json
    assert timeline["events"][0]["data"]["instanceId"] == a.id
    assert timeline["nextAfter"] == timeline["events"][0]["data"]["sequence"]


@pytest.mark.parametrize("query", ["after=x", "limit=1001", "type=nonsense", "instanceId=a b", "since=1"])
async def test_a_wrong_query_is_refused(api: Served, query: str) -> None:
    assert (await api.get(f"/api/events?{query}")).status == 400


async def test_a_stream_begins_with_now_and_tells_what_happens(api: Served) -> None:
    record = await api.created()
    async with stream(api) as live:
        await until(lambda: api.desk.streams.count)
        await api.becomes(record, given.ready())
        frame = await live.frame()
        event = msgspec.json.decode(frame["data"])
        assert (frame["event"], int(frame["id"])) == ("instance.ready", event["data"]["sequence"])
        assert event["data"]["instance"]["status"] == "ready"


async def test_a_stream_resumes_after_what_was_read_last(api: Served) -> None:
    for name in ("a", "b", "c"):
        await api.created(name)
    async with stream(api, last=1) as live:
        assert [(await live.event())["data"]["sequence"] for _ in range(2)] == [2, 3]
        await api.created("d")
        assert (await live.event())["data"]["sequence"] == 4
    async with stream(api, "?after=0") as live:
        assert [(await live.event())["data"]["sequence"] for _ in range(4)] == [1, 2, 3, 4]


async def test_a_stream_of_one_instance_or_type_passes_over_the_rest(api: Served) -> None:
    a, b = await api.created("a"), await api.created("b")
    async with stream(api, "?type=instance.ready&instanceId=b") as live:
        await until(lambda: api.desk.streams.count)
        await api.becomes(a, given.ready())
        await api.becomes(b, given.ready())
        assert (await live.event())["data"]["instanceId"] == b.id


async def test_l2_many_streams_read_a_change_once(api: Served) -> None:
    many = 40
    await api.created("first")  # scripts are sent to the server once
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(stream(api)) for _ in range(many)]
        await until(lambda: api.desk.streams.count == many)
        with_streams = await _cost(api, "a", streams)
    assert with_streams - await _cost(api, "b", []) < many / 2


async def _cost(api: Served, name: str, streams: list[Stream]) -> int:
    """Commands that one create and its telling cost the store."""
    before = await api.commands_done()
    record = await api.created(name)
    assert {(await live.event())["data"]["instanceId"] for live in streams} <= {record.id}
    return await api.commands_done() - before


async def test_a_quiet_stream_shows_that_it_is_there(valkey: str) -> None:
    async with served(valkey, heartbeat=timedelta(milliseconds=20)) as api, stream(api) as live:
        assert [await live.line() for _ in range(4)] == ["retry: 2000\n", "\n", ": still here\n", "\n"]


async def test_a_stream_that_is_ahead_of_the_log_begins_with_now(api: Served) -> None:
    await api.created("a")
    async with stream(api, last=10**9) as live:
        await until(lambda: api.desk.streams.count)
        await api.created("b")
        assert (await live.event())["data"]["sequence"] == 2


async def test_the_clients_going_ends_a_stream(api: Served) -> None:
    async with stream(api):
        await until(lambda: api.desk.streams.count)
    await until(lambda: not api.desk.streams.count)


async def test_the_servers_going_ends_a_stream(api: Served) -> None:
    async with stream(api) as live:
        await until(lambda: api.desk.streams.count)
        api.desk.close()
        async with asyncio.timeout(5):
            while await live.line():
                pass


async def test_no_more_streams_than_there_are_places(valkey: str) -> None:
    async with served(valkey, max_streams=1) as api, stream(api):
        await until(lambda: api.desk.streams.count)
        refused = await api.get("/api/events", Accept="text/event-stream")
        assert (refused.status, refused.code) == (429, "RATE_LIMIT_EXCEEDED")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_a_wrong_place_to_resume_is_refused(api: Served, last: str) -> None:
    answer = await api.get("/api/events", Accept="text/event-stream", Last_Event_ID=last)
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "Last-Event-ID")


async def test_a_wrong_last_event_id_is_refused_with_and_without_a_stream(api: Served) -> None:
    for accept in ("application/json", "text/event-stream"):
        answer = await api.ask("GET", "/api/events", Last_Event_ID="\\", Accept=accept)
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
