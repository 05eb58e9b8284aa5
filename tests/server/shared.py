"""A shared server that a test kills, stops and starts again: durable at every write, on a port of its own."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from novita_gpu.store.local import find_server


class SharedServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self, *more: str) -> None:
        """With `more` settings."""
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", "always", *more]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
            [str(find_server()), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(30), Redis(host="127.0.0.1", port=self._port) as client:
            while True:
                with suppress(RedisError, OSError):
                    await client.ping()  # pyright: ignore[reportUnknownMemberType]
                    return
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop_still(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGCONT)

    def lose_all(self) -> None:
        """Of a server that is not running."""
        for path in sorted(self._folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


@asynccontextmanager
async def shared_server(folder: Path) -> AsyncGenerator[SharedServer]:
    server = SharedServer(folder)
    await server.start()
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.go_on()
        server.kill()
