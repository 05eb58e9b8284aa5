"""The guarded session on real sockets: what it connects to, and that a name cannot be swapped in between."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from test_urls import Book

from novita_gpu.egress import ANY_PORT, NOWHERE_PRIVATE, Forbidden, Networks, check_resolved, guarded_session, reach

LOOPBACK = Networks.parse("127.0.0.0/8,::1/128")


class Receiver:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0
        self.hosts: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.visits += 1
        self.hosts.append(request.host)
        if request.path == "/away":
            return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{self.port}/"})
        return web.Response(text="hello")


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    it = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.answer)
    async with TestServer(app) as server:
        it.port = server.make_url("/").port or 0
        yield it


@asynccontextmanager
async def session(
    allowed: Networks = NOWHERE_PRIVATE, book: Book | None = None, ports: frozenset[int] | None = ANY_PORT
) -> AsyncGenerator[aiohttp.ClientSession]:
    async with guarded_session(allowed, ports=ports, resolver=book) as it:
        yield it


async def refused(it: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises((aiohttp.ClientError, OSError)) as caught:
        await it.get(url, timeout=aiohttp.ClientTimeout(total=5))
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"]
)
async def test_no_private_address_is_connected_to(receiver: Receiver, host: str) -> None:
    async with session() as it:
        await refused(it, f"http://{host}:{receiver.port}/")
    assert receiver.visits == 0


async def test_an_allowed_network_is(receiver: Receiver) -> None:
    async with session(LOOPBACK, ports=frozenset({443})) as it, it.get(f"http://127.0.0.1:{receiver.port}/") as answer:
        assert await answer.text() == "hello"


async def test_a_name_with_one_forbidden_address_is_refused_whole(receiver: Receiver) -> None:
    book = Book(mixed_example=["1.1.1.1", "127.0.0.1"], home_example=["127.0.0.1"])
    async with session(book=book) as it:
        await refused(it, f"http://mixed.example:{receiver.port}/")
        await refused(it, f"http://home.example:{receiver.port}/")
    assert receiver.visits == 0


class Rebinding(Book):
    """A name that is allowed at first and something else afterwards."""

    async def resolve(self, host: str, port: int = 0, family: object = 0):
        found = await super().resolve(host, port)
        self.names[host] = ["10.0.0.1"]
        return found


async def test_the_connection_goes_to_the_address_that_was_judged(receiver: Receiver) -> None:
    book = Rebinding(home_example=["127.0.0.1"])
    async with session(LOOPBACK, book) as it:
        async with it.get(f"http://home.example:{receiver.port}/") as answer:
            assert answer.status == 200
        await refused(it, f"http://home.example:{receiver.port}/")
    assert (receiver.visits, book.asked) == (1, 2)


async def test_a_redirect_is_an_answer_and_never_followed(receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.port}/away"
    async with session(LOOPBACK) as it:
        async with it.get(url, allow_redirects=False) as answer:
            assert answer.status == 302
        await refused(it, url)
    assert receiver.visits == 2


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
    async with session() as it:
        await refused(it, "http://no-such-host.invalid/")
    assert receiver.visits == 0


async def test_ports_are_judged_where_the_socket_is_made() -> None:
    async with session(LOOPBACK, ports=frozenset({443})) as it:
        await refused(it, "http://1.1.1.1:22/")


async def test_reaching_a_port(receiver: Receiver) -> None:
    await reach("127.0.0.1", receiver.port, LOOPBACK)
    await reach("home.example", receiver.port, LOOPBACK, resolver=Book(home_example=["127.0.0.1"]))
    for host in ("127.0.0.1", "127.1", "0x7f.1", "localhost", "::1", "fe80::1%lo"):
        with pytest.raises(Forbidden):
            await reach(host, receiver.port)


async def test_reaching_goes_on_to_the_next_address(receiver: Receiver) -> None:
    book = Book(home_example=["127.0.0.2", "127.0.0.1"], none_example=[])
    async with asyncio.timeout(5):
        await reach("home.example", receiver.port, LOOPBACK, resolver=book)
        with pytest.raises(OSError, match="no address"):
            await reach("none.example", receiver.port, LOOPBACK, resolver=book)


async def test_a_closed_port_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        await reach("127.0.0.1", 1, LOOPBACK)


async def test_the_name_stays_in_host_and_tls_though_the_address_is_pinned(receiver: Receiver) -> None:
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: named.append(name)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    book = Book(home_example=["127.0.0.1"])
    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server, session(LOOPBACK, book) as it:
        port = server.sockets[0].getsockname()[1]
        await refused(it, f"https://home.example:{port}/")  # it has no certificate, and is asked for one by its name
        async with it.get(f"http://home.example:{receiver.port}/") as answer:
            assert answer.status == 200
    assert named == ["home.example"]
    assert receiver.hosts == [f"home.example:{receiver.port}"]


async def test_ports_outside_of_private_networks_are_those_that_are_listed() -> None:
    book = Book(public_example=["1.1.1.1"])
    async with session(LOOPBACK, book, ports=frozenset({443, 8443})) as it:
        for port in (22, 25, 80, 6379):
            await refused(it, f"http://public.example:{port}/")
    await check_resolved("https://public.example:8443/", LOOPBACK, frozenset({443, 8443}), book)
