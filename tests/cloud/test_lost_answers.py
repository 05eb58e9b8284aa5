"""The real transport against a server that is cut off, hangs or answers too much: what is known of the effect."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from canned import KEY, order

from novita_gpu.cloud.base import MUTATION_TIMEOUT, Ambiguous, CloudError, Unreachable, Unreadable
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import HttpTransport, NoAnswer, NotSent, Request, TooLate
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")
# Long enough to connect on a busy machine, short enough to wait for.
SHORT = timedelta(milliseconds=300)
Handling = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Door:
    """A raw server that counts the requests it has read."""

    def __init__(self, handle: Handling) -> None:
        self.handle = handle
        self.root = ""
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _head(reader):
                self.requests.append(head.split("\r\n", 1)[0])
                self.asked.set()
                await self.handle(reader, writer)
                if writer.is_closing():
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""
    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    if lengths:
        await reader.readexactly(int(lengths[0].split(":")[1]))
    return head


@asynccontextmanager
async def door(handle: Handling) -> AsyncGenerator[Door]:
    it = Door(handle)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield it
    finally:
        server.close()


async def _at_once(seconds: float) -> None: ...


@asynccontextmanager
async def cloud_at(root: str, timeout: timedelta = MUTATION_TIMEOUT) -> AsyncGenerator[Novita]:
    cloud = Novita(KEY, root=root, calls_per_minute=0, read_timeout=timeout, mutation_timeout=timeout, sleep=_at_once)
    try:
        yield cloud
    finally:
        await cloud.close()


async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def half_a_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    writer.close()


async def half_a_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"')
    writer.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body that never ends, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b" ")
        await asyncio.sleep(0.005)


async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 smtp ready\r\n\r\n")
    writer.close()


LOST = [cut, reset, half_a_head, half_a_body, nonsense]
LATE = [hang, drip]
WAYS = [(handle, MUTATION_TIMEOUT) for handle in LOST] + [(handle, SHORT) for handle in LATE]


@pytest.mark.parametrize(("handle", "timeout"), WAYS)
async def test_a_lost_answer_to_a_mutation_is_ambiguous_and_it_is_sent_once(
    handle: Handling, timeout: timedelta
) -> None:
    async with door(handle) as it, cloud_at(it.root, timeout) as cloud:
        with pytest.raises(Ambiguous):
            await cloud.create(order(), send_by=time.monotonic() + 5)
        with pytest.raises(Ambiguous):
            await cloud.stop(M)
        assert [request.split()[0] for request in it.requests] == ["POST", "POST"]


@pytest.mark.parametrize(("handle", "timeout"), WAYS)
async def test_a_lost_answer_to_a_read_is_unreachable(handle: Handling, timeout: timedelta) -> None:
    async with door(handle) as it, cloud_at(it.root, timeout) as cloud:
        with pytest.raises(Unreachable):
            await cloud.get(M)


async def test_the_transport_sends_a_read_once_too() -> None:
    async with door(cut) as it:
        transport = HttpTransport()
        with pytest.raises(NoAnswer):
            await transport.send(Request(method="GET", url=it.root), 10)
        assert len(it.requests) == 1
        await transport.close()


async def test_a_deadline_is_kept() -> None:
    async with door(hang) as it, cloud_at(it.root, SHORT) as cloud:
        began = time.monotonic()
        with pytest.raises(CloudError):
            await cloud.stop(M)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("root", ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"])
async def test_what_never_left_is_unreachable(root: str) -> None:
    async with cloud_at(root) as cloud:
        with pytest.raises(Unreachable):
            await cloud.create(order(), send_by=time.monotonic() + 5)


async def test_a_failed_handshake_never_left() -> None:
    async with door(nonsense) as it, cloud_at(it.root.replace("http", "https")) as cloud:
        with pytest.raises(Unreachable):
            await cloud.stop(M)


async def test_a_mutation_takes_a_new_connection_and_reads_share_one() -> None:
    async def fine(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data":[]}')

    async with door(fine) as it, cloud_at(it.root) as cloud:
        for _ in range(3):
            await cloud.clusters()
        assert it.connections == 1
        for _ in range(3):
            await cloud.stop(M)
        assert it.connections == 4


async def test_an_empty_answer_to_a_mutation_is_fine() -> None:
    async def done(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with door(done) as it, cloud_at(it.root) as cloud:
        await cloud.delete(M)


async def test_an_answer_over_the_limit_is_not_kept() -> None:
    async def much(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000)

    async with door(much) as it:
        transport = HttpTransport(answer_limit_bytes=1000)
        cloud = Novita(KEY, root=it.root, transport=transport)
        with pytest.raises(Unreadable):
            await cloud.clusters()
        with pytest.raises(Ambiguous):
            await cloud.create(order(), send_by=time.monotonic() + 5)
        await cloud.close()


async def test_redirects_are_not_followed() -> None:
    async def away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")

    async with door(away) as it, cloud_at(it.root) as cloud:
        with pytest.raises(Unreadable):
            await cloud.clusters()
        assert len(it.requests) == 1


async def test_wanted_is_asked_when_the_connection_stands_and_nothing_is_sent() -> None:
    asked: list[int] = []

    async with door(cut) as it:
        transport = HttpTransport()

        def wanted() -> bool:
            asked.append(it.connections)
            return False

        with pytest.raises(TooLate):
            await transport.send(Request(method="POST", url=it.root, once=True, wanted=wanted), 10)
        assert it.requests == []
        assert len(asked) == 1
        await transport.close()


async def test_a_closed_transport_sends_nothing() -> None:
    transport = HttpTransport()
    await transport.close()
    with pytest.raises(NotSent):
        await transport.send(Request(method="GET", url="http://127.0.0.1:1"), 1)


async def test_cancelling_a_call_leaves_nothing_open() -> None:
    async with door(hang) as it, cloud_at(it.root) as cloud:
        task = asyncio.create_task(cloud.stop(M))
        async with asyncio.timeout(2):
            await it.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("url", ["http://[", "nothing", "http://a b/"])
async def test_an_address_that_is_none_is_not_sent(url: str) -> None:
    transport = HttpTransport()
    with pytest.raises(NotSent):
        await transport.send(Request(method="GET", url=url), 1)
    await transport.close()
