"""What is endless, slow, deep or huge is refused in form, and holds nothing up."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from novita_gpu.api.body import MAX_URL_CHARS
from novita_gpu.api.cors import Cors
from novita_gpu.api.desk import Opening
from novita_gpu.api.origin import why_not_local
from novita_gpu.api.protocol import BoundedHttp
from novita_gpu.settings import Settings, WrongSettings
from tests.api.served import KEYS, Scope, Served, served
from tests.api.test_limits import asked

KEY = f"Authorization: Bearer {KEYS[Scope.ADMIN]}".encode()


class Impatient(BoundedHttp):
    head_within_s = 0.2


@asynccontextmanager
async def connected(api: Served) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.root.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length"))
    return int(head.split()[1]), json.loads(await reader.readexactly(size))


async def test_s9_headers_that_come_drop_by_drop_are_cut_off_and_so_is_silence(valkey: str) -> None:
    async with served(valkey, protocol=Impatient) as api, asyncio.timeout(30):
        async with connected(api) as (reader, writer):
            writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n")
            assert await reader.read() == b""
        async with connected(api) as (reader, _):
            assert await reader.read() == b""


async def test_s9_a_flood_of_headers_is_refused_while_it_comes(api: Served) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n")
        for number in range(200):
            writer.write(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
        status, told = await answer(reader)
    assert (status, told["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "headers are larger" in told["error"]["message"]


async def test_s9_large_headers_and_a_long_query_are_told_of_at_once(api: Served) -> None:
    async with connected(api) as (reader, writer):
        fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 4000) for number in range(9))
        writer.write(b"GET /health?" + b"a" * MAX_URL_CHARS + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        status, told = await answer(reader)
    assert (status, [fault["field"] for fault in told["error"]["details"]]) == (400, ["path", "headers"])


async def test_s9_a_body_that_comes_drop_by_drop_is_refused_and_its_connection_ended(valkey: str) -> None:
    async with (
        served(valkey, body_within=timedelta(seconds=0.2)) as api,
        connected(api) as (reader, writer),
    ):
        head = b"POST /api/instances HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
        writer.write(head + KEY + b"\r\n\r\n{")
        async with asyncio.timeout(10):
            status, told = await answer(reader)
            assert (status, told["error"]["code"]) == (400, "VALIDATION_ERROR")
            assert await reader.read() == b""


async def test_s9_a_gigabyte_is_refused_by_its_announcement_and_endless_chunks_at_a_megabyte(api: Served) -> None:
    async with connected(api) as (reader, writer):
        head = b"POST /api/instances HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + KEY + b"\r\n"
        writer.write(head + b"Content-Length: 1073741824\r\n\r\n{")
        assert (await answer(reader))[0] == 413
        assert await reader.read() == b""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            yield b" " * 65536
            sent += 65536

    refused = await api.post("/api/instances", raw=endless())
    assert (refused.status, refused.code) == (413, "BODY_TOO_LARGE")
    assert sent < 32 * 1024 * 1024


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000, '{"name":' + "[" * 40 + "]" * 40 + "}"])
async def test_s9_json_that_nests_deep_is_refused(api: Served, deep: str) -> None:
    refused = await api.post("/api/instances", raw=deep.encode())
    assert (refused.status, refused.code) == (400, "INVALID_JSON")


async def test_what_is_no_http_is_refused_in_form(api: Served) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"NONSENSE\r\n\r\n")
        assert (await answer(reader))[1]["error"]["code"] == "VALIDATION_ERROR"


HERE = {"host": "localhost:3000"}


@pytest.mark.parametrize(
    ("peer", "headers", "why"),
    [
        ("127.0.0.1", HERE, None),
        ("127.0.0.1", {"host": "127.0.0.1:3000", "origin": "http://127.0.0.1:3000"}, None),
        ("::1", {"host": "[::1]:3000", "sec_fetch_site": "same-origin"}, None),
        ("192.0.2.1", HERE, "another machine"),
        ("127.0.0.1", {"host": "gpus.example"}, "Host"),
        ("127.0.0.1", {"host": "localhost.evil.example"}, "Host"),
        ("127.0.0.1", {"host": "localhost@evil.example"}, "Host"),
        ("127.0.0.1", {}, "Host"),
        ("127.0.0.1", {**HERE, "x_forwarded_for": "127.0.0.1"}, "proxy"),
        ("127.0.0.1", {**HERE, "forwarded": "for=127.0.0.1"}, "proxy"),
        ("127.0.0.1", {**HERE, "via": "1.1 nginx"}, "proxy"),
        ("127.0.0.1", {**HERE, "origin": "http://evil.example"}, "origin"),
        ("127.0.0.1", {**HERE, "origin": "http://localhost:8080"}, "origin"),
        ("127.0.0.1", {**HERE, "origin": "null"}, "origin"),
        ("127.0.0.1", {**HERE, "sec_fetch_site": "cross-site"}, "site"),
    ],
)
def test_s3_only_this_machines_own_user_is_taken_for_it(peer: str, headers: dict[str, str], why: str | None) -> None:
    told = why_not_local(asked(peer, **headers))
    assert (told is None) if why is None else (told and why in told)


async def test_with_auth_off_a_page_or_a_proxy_is_told_why_it_is_not_let_in(valkey: str) -> None:
    async with served(valkey, opening=Opening(all=True)) as api:
        assert (await api.get("/api/instances", key=None)).status == 200
        assert (await api.get("/api/keys", key=None)).status == 200
        for told, why in [
            ({"Origin": "https://evil.example"}, "a page of another origin sent it"),
            ({"X_Forwarded_For": "192.0.2.1"}, "it came through a proxy"),
            ({"Host": "gpus.example"}, "its Host is not localhost"),
        ]:
            refused = await api.post("/api/instances/stop-all", key=None, **told)
            assert refused.status == 401
            assert why in refused.json["error"]["message"]
        assert (await api.get("/api/instances", key="wrong")).status == 401
        assert (await api.get("/api/instances", key=Scope.READ, Origin="https://evil.example")).status == 200


async def test_metrics_open_opens_that_one_route_here_and_nothing_elsewhere(valkey: str) -> None:
    async with served(valkey, opening=Opening(metrics=True)) as api:
        assert (await api.get("/metrics", key=None)).status == 200
        assert (await api.get("/api/instances", key=None)).status == 401
        refused = await api.get("/metrics", key=None, X_Forwarded_For="192.0.2.1")
        assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
        assert "it came through a proxy" in refused.json["error"]["message"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gpus.example"])
def test_auth_is_off_on_a_loopback_address_only(host: str, tmp_path: Path) -> None:
    assert Settings.load(auth="off", host="127.0.0.1", data_dir=tmp_path).auth == "off"
    with pytest.raises(WrongSettings, match="AUTH: off is for a loopback address only"):
        Settings.load(auth="off", host=host, data_dir=tmp_path)


APP = "https://app.example.com"


async def test_s3_no_page_of_another_origin_reads_anything_unless_it_is_named(valkey: str) -> None:
    async with served(valkey) as closed, served(valkey, cors=Cors((APP,))) as api:
        for at, origin in [(closed, APP), (api, "https://evil.example"), (api, "null")]:
            told = (await at.get("/api/instances", Origin=origin)).headers
            asking = await at.ask(
                "OPTIONS", "/api/instances", key=None, Origin=origin, Access_Control_Request_Method="DELETE"
            )
            assert asking.status == 405
            assert not [name for name in (*told, *asking.headers) if name.startswith("access-control")]
        assert (await api.get("/api/instances", Origin=APP)).headers["access-control-allow-origin"] == APP
        refused = await api.get("/api/instances", key="wrong", Origin=APP)
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, APP)
        assert (refused.headers["vary"], "access-control-allow-credentials" in refused.headers) == ("Origin", False)
        asking = await api.ask(
            "OPTIONS", "/api/instances/a", key=None, Origin=APP, Access_Control_Request_Method="DELETE"
        )
        assert asking.status == 204
        assert "Authorization" in asking.headers["access-control-allow-headers"]


@pytest.mark.parametrize("wrong", ["app.example.com", "https://app.example.com/", "*", "https://"])
def test_an_origin_is_a_scheme_and_a_host(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="ALLOWED_ORIGINS"):
        Settings.load(allowed_origins=wrong, data_dir=tmp_path)
