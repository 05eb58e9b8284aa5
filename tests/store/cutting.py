"""A wire that loses answers: what is asked is done, and the connection breaks before its answer arrives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlparse

SCRIPT = b"EVAL"
REFUSED = b"-"


class CuttingWire:
    """Stands between a client and a server on unix sockets. Only answers to scripts are lost: all writes are such."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._to_lose = 0
        self._serving: set[asyncio.Task[None]] = set()
        self.lost = 0

    def lose(self, answers: int) -> None:
        """The next so many answers are lost, each with its connection."""
        self._to_lose = answers

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, out = await asyncio.open_unix_connection(self._server)
        asked: list[bytes] = []
        forth = asyncio.create_task(self._pass(reader, out, asked))
        try:
            while answer := await back.read(65536):
                if self._to_lose and SCRIPT in b"".join(asked) and not answer.startswith(REFUSED):
                    self._to_lose -= 1
                    self.lost += 1
                    break
                writer.write(answer)
                await writer.drain()
        finally:
            forth.cancel()
            await asyncio.gather(forth, return_exceptions=True)
            for side in (writer, out):
                side.close()
                with suppress(OSError):
                    await side.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bytes]) -> None:
        while words := await reader.read(65536):
            asked[:] = [words]
            writer.write(words)
            await writer.drain()


@asynccontextmanager
async def cutting_wire(url: str, folder: Path) -> AsyncGenerator[tuple[CuttingWire, str]]:
    """The wire, and the address at which it stands for the server at `url`."""
    wire, socket = CuttingWire(Path(urlparse(url).path)), folder / "cut"
    server = await asyncio.start_unix_server(wire.accept, socket)
    try:
        yield wire, f"unix://{socket}?db=0"
    finally:
        server.close()
        await wire.close()
        await server.wait_closed()
