"""A line to a server that can be cut, with all that is on it, and mended; or held, so that nothing on it moves."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress


class Line:
    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.close()

    def mend(self) -> None:
        self._is_cut = False

    def hold(self) -> None:
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        back, forth = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, forth}
        try:
            await asyncio.gather(self._pass(reader, forth), self._pass(back, writer))
        finally:
            self._writers -= {writer, forth}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while words := await reader.read(65536):
                await self._flows.wait()
                writer.write(words)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def line_to(host: str, port: int) -> AsyncGenerator[tuple[Line, int]]:
    """The line, and the port at which it begins."""
    line = Line(host, port)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    try:
        yield line, server.sockets[0].getsockname()[1]
    finally:
        line.cut()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await server.wait_closed()
