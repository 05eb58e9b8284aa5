"""A real server for tests: one for each session and worker, and for each test a store of its own on it."""

import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import pytest
from redis import Redis
from redis.exceptions import RedisError

from novita_gpu.store import Store, open_store
from novita_gpu.store.local import find_server

START_WITHIN_S = 30.0
# Ends the server when the pipe to it closes: with the tests, however they end.
WITH_US = '"$@" & server=$!; read -r _; kill "$server"; wait "$server"'
_numbers = count(1)


@contextmanager
def running_server(program: Path, *more: str) -> Generator[str]:
    """The address of a server that keeps nothing, with `more` settings.

    For what must be durable there is `PrivateValkey`.
    """
    with TemporaryDirectory(prefix="ngpu-") as folder:
        socket, log = Path(folder) / "s", Path(folder) / "log"
        settings = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", "", "--appendonly", "no"]
        words = ["sh", "-c", WITH_US, "sh", str(program), *settings, *more]
        with (
            log.open("wb") as out,
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True) as process,
        ):
            _wait_for(socket, process, log)
            yield f"unix://{socket}?db=0"


def _wait_for(socket: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_WITHIN_S
    with Redis(unix_socket_path=str(socket)) as client:
        while time.monotonic() < until and process.poll() is None:
            try:
                client.ping()  # pyright: ignore[reportUnknownMemberType]
                return
            except RedisError:
                time.sleep(0.01)
    raise RuntimeError(f"the test server did not come up:\n{log.read_text(errors='replace')}")


def new_prefix() -> str:
    """A prefix that no other test has."""
    return f"t{next(_numbers)}x{token_hex(4)}"


async def forget(store: Store) -> None:
    """Removes every key of this store, and none of another."""
    for key in await store.wire.keys(store.keys.pattern):
        await store.wire.delete(key.decode())


@pytest.fixture(scope="session")
def valkey_url() -> Generator[str]:
    """The address of this session's server."""
    with running_server(find_server()) as url:
        yield url


@pytest.fixture
def prefix() -> str:
    return new_prefix()


@pytest.fixture
async def store(valkey_url: str, prefix: str) -> AsyncGenerator[Store]:
    """A store of this test's own, empty before and removed after."""
    async with open_store(valkey_url, prefix=prefix, block_s=1.0) as opened:
        yield opened
        await forget(opened)
