"""Followed events, heartbeats, and the client for code without an event loop."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from novita_gpu.client import ApiError, Client, NotReachable, SyncClient
from novita_gpu.client.stream import Message, messages
from tests.client.bodies import EXPLAINED
from tests.client.plane import KEY, Plane, Said, instance, problem, serving


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def client_of(plane: Plane) -> Client:
    return Client(plane.url, KEY, sleep=no_pause)


async def lines_of(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


async def test_a_stream_is_read_by_the_rules() -> None:
    text = ": life\n\nid: 1\nevent: a\ndata: x\ndata:y\n\ndata: z\nunknown: u\n\nid:3\n\ndata: cut off"
    assert [m async for m in messages(lines_of(text))] == [
        Message(id="1", event="a", data="x\ny"),
        Message(id="1", event="message", data="z"),
    ]


async def test_the_log_is_read_page_by_page() -> None:
    async with serving() as plane, client_of(plane) as client:
        for status in ("creating", "running", "ready", "stopping", "stopped"):
            await plane.change("a", status)
        assert [event.sequence async for event in client.events()] == [1, 2, 3, 4, 5]
        assert [event.type async for event in client.events(after=4)] == ["instance.stopped"]


async def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.cut_stream_after = [2, 1]
        for status in ("creating", "running", "ready"):
            await plane.change("a", status)
        seen: list[int] = []
        async for event in client.events(follow=True, instance="a"):
            seen.append(event.sequence)
            if event.sequence == 3:
                await plane.change("a", "stopping")
            if event.sequence == 4:
                assert event.data.instance
                assert event.data.instance.status == "stopping"
                break
    assert seen == [1, 2, 3, 4]
    resumed = [s.headers.get("last-event-id") for s in plane.seen if s.path == "/api/events"]
    assert resumed == [None, "2", "3"]
    assert plane.seen[-1].query["instanceId"] == [plane.events[0]["data"]["instanceId"]]


async def test_following_tells_at_once_when_it_cannot_begin() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/events", Said(403, problem("FORBIDDEN")))
        with pytest.raises(ApiError, match="FORBIDDEN"):
            await anext(client.events(follow=True))
    async with Client("http://127.0.0.1:1", KEY) as client:
        with pytest.raises(NotReachable):
            await anext(client.events(follow=True))


async def test_heartbeats_come_while_the_block_runs_and_outlive_a_lost_one() -> None:
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "ready")
        plane.tell("PUT /api/instances/a/last-used", Said(cut=True), Said(503, problem("X")), Said(200, {}))
        async with client.in_use("a", every=timedelta(0)) as use:
            await plane.requests(6)
        assert use.lost is None
        count = len(plane.seen)
        await client.get("a")
        assert len(plane.seen) == count + 1, "none comes after the block"


async def test_a_refused_heartbeat_is_told_and_the_first_one_is_raised() -> None:
    async with serving() as plane, client_of(plane) as client:
        await plane.change("a", "ready")
        refused = Said(409, problem("INSTANCE_NOT_RUNNING"))
        plane.tell("PUT /api/instances/a/last-used", Said(200, {}), refused)
        async with client.in_use("a", every=timedelta(0)) as use, asyncio.timeout(5):
            while use.lost is None:  # noqa: ASYNC110 — callers read it as a value, and so does this
                await asyncio.sleep(0)
        assert use.lost.code == "INSTANCE_NOT_RUNNING"
        with pytest.raises(ApiError):
            await client.in_use("a").__aenter__()


def without_a_loop(url: str) -> list[str]:
    """What a plain script does."""
    said: list[str] = []
    with SyncClient(url, KEY) as client:
        said.append(client.create("a", product_id="p", template_id="7").status)
        said.extend(one.name for one in client.all())
        for event in client.events(follow=True):
            said.append(event.type)
            break
        with client.in_use("a") as use:
            said.append(str(use.lost))
        said.append(client.pin("a", None).name)
        said.append(client.explain("a").auto_stop.verdict)
        try:
            client.get("nowhere")
        except ApiError as error:
            said.append(error.code)
    return said


async def test_the_blocking_client_does_the_same() -> None:
    async with serving() as plane:
        plane.tell("PATCH /api/instances/a", Said(body=instance("a")))
        plane.tell("GET /api/instances/a/explain", Said(body=EXPLAINED))
        said = await asyncio.to_thread(without_a_loop, plane.url)
    assert said == ["creating", "a", "instance.creating", "None", "a", "active", "INSTANCE_NOT_FOUND"]


def test_every_call_is_in_both_clients() -> None:
    public = {name for name in dir(Client) if not name.startswith("_")} - {"aclose"}
    assert public <= {name for name in dir(SyncClient) if not name.startswith("_")}
