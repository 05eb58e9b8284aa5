"""Many streams, slow readers, and readers that break off: each sees each event once and in order."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as replaced
from datetime import timedelta
from random import Random
from urllib.parse import urlsplit

import aiohttp
from msgspec.structs import replace

from novita_gpu.client import Client
from novita_gpu.domain.events import EventType
from novita_gpu.programs import allow_files
from tests.api.served import KEYS, Scope, Served, new_id, now, served, until
from tests.api.test_events import Stream, stream
from tests.domain import given
from tests.webhooks.outbox import an_event

STREAMS = 1_000
EVENTS, BREAKS = 10_000, 100
# Bytes that the system keeps for a reader that takes nothing.
SMALL = 4_096
ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)


async def test_a_thousand_streams_are_open_in_one_process_and_each_is_told(valkey: str) -> None:
    assert allow_files() > 2 * STREAMS + 200, "both ends of each are in this process"
    many = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with served(valkey) as api, many as http, AsyncExitStack() as stack:
        record = await api.created("a")
        opening = (stack.enter_async_context(stream(replaced(api, http=http))) for _ in range(STREAMS))
        streams = await asyncio.gather(*opening)
        await until(lambda: api.desk.streams.count == STREAMS)
        await api.becomes(record, given.ready())
        told = await asyncio.gather(*(live.event() for live in streams))
        assert {(event["type"], event["data"]["sequence"]) for event in told} == {("instance.ready", 2)}


async def happen(api: Served, count: int) -> None:
    """So many events, as quickly as they can be written."""
    for _ in range(0, count, 100):
        events = (replace(an_event(1), id=new_id("evt"), at=now(), type=EventType.UPDATED) for _ in range(100))
        await asyncio.gather(*(api.store.events.append(event) for event in events))


@asynccontextmanager
async def breaking(to: str, cuts: list[int]) -> AsyncGenerator[str]:
    """An address that passes everything on to `to`, and cuts each connection after so many bytes of its answer."""
    parts, passing = urlsplit(to), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, out = await asyncio.open_connection(parts.hostname, parts.port)
        forth = asyncio.create_task(_copy(reader, out, None))
        passing.add(forth)
        try:
            await _copy(back, writer, cuts.pop() if cuts else None)
        finally:
            forth.cancel()
            for side in (writer, out):
                side.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*passing, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at_most: int | None) -> None:
    while data := await reader.read(65_536 if at_most is None else min(at_most, 65_536)):
        writer.write(data)
        await writer.drain()
        if at_most is not None:
            at_most -= len(data)
            if at_most <= 0:
                return


async def test_a_reader_that_breaks_off_a_hundred_times_sees_each_event_once_and_in_order(valkey: str) -> None:
    async def at_once(_: float) -> None: ...

    chance = Random(8)  # noqa: S311 — the same breaks at every run
    cuts = [chance.randrange(200, 60_000) for _ in range(BREAKS)]
    async with served(valkey) as api, breaking(api.root, cuts) as url:
        writing = asyncio.create_task(happen(api, EVENTS))
        async with Client(url, KEYS[Scope.READ], sleep=at_once) as client:
            seen = await first(client.events(follow=True, after=0), EVENTS)
        await writing
    assert seen == list(range(1, EVENTS + 1))
    assert cuts == [], "all of them came about"


async def first(events: AsyncIterator[object], count: int) -> list[int]:
    found: list[int] = []
    async for event in events:
        found.append(event.sequence)  # type: ignore[attr-defined]
        if len(found) == count:
            return found
    return found


def stuck(root: str) -> socket.socket:
    """A reader that asks for everything and takes nothing."""
    parts = urlsplit(root)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    reader.connect((parts.hostname, parts.port))
    key = KEYS[Scope.READ]
    reader.sendall(
        f"GET /api/events?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    return reader


async def test_a_reader_that_takes_nothing_is_dropped_holds_up_nobody_and_goes_on_later(valkey: str) -> None:
    async with served(valkey, slow_after=timedelta(milliseconds=500)) as api:
        with stuck(api.root) as slow:
            await until(lambda: api.desk.streams.count == 1)
            writing = asyncio.create_task(happen(api, EVENTS))
            async with stream(api, "?after=0") as quick:
                assert await sequences(quick, EVENTS) == list(range(1, EVENTS + 1))
                await until(lambda: api.desk.streams.count == 1)
            await writing
            had = [
                int(each) for each in re.findall(rb"^id: (\d+)$", await asyncio.to_thread(rest_of, slow), re.MULTILINE)
            ]
        assert had == list(range(1, len(had) + 1))
        async with stream(api, last=had[-1]) as again:
            assert await sequences(again, EVENTS - len(had)) == list(range(len(had) + 1, EVENTS + 1))


def rest_of(reader: socket.socket) -> bytes:
    """What had been sent before the end."""
    reader.settimeout(10)
    return b"".join(iter(lambda: reader.recv(1 << 20), b""))


async def sequences(live: Stream, count: int) -> list[int]:
    return [int((await live.frame())["id"]) for _ in range(count)]
