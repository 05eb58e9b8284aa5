"""Users of a real server who may do less, and a server whose reads do not block."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from novita_gpu.store.wire import connect
from tests.store.cutting import CuttingWire

PASSWORD = "a password of / @ and :"
# A command's BLOCK, as clients write it.
BLOCK = re.compile(rb"\$5\r\nBLOCK\r\n\$\d+\r\n\d+\r\n", re.IGNORECASE)
ARRAY = re.compile(rb"\*(\d+)\r\n")


@asynccontextmanager
async def user(url: str, name: str, *rules: str) -> AsyncGenerator[str]:
    """The address for a user with exactly these rights, who is gone afterwards."""
    async with connect(url, connections=1) as server:
        await server.execute_command("ACL SETUSER", name, "reset", "on", f">{PASSWORD}", *rules)  # pyright: ignore[reportUnknownMemberType]
        try:
            yield with_user(url, name)
        finally:
            await server.execute_command("ACL DELUSER", name)  # pyright: ignore[reportUnknownMemberType]


def with_user(url: str, name: str) -> str:
    """An address on a unix socket names its user in the query."""
    return f"{url}&{urlencode({'username': name, 'password': PASSWORD})}"


class NeverBlocking(CuttingWire):
    """What stands before some hosted servers: a read that is to wait comes back at once."""

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bytes]) -> None:
        while words := await reader.read(65536):
            if blocking := BLOCK.search(words):
                head = [found for found in ARRAY.finditer(words) if found.start() < blocking.start()][-1]
                fewer = b"*%d\r\n" % (int(head[1]) - 2)
                words = words[: head.start()] + fewer + words[head.end() :].replace(blocking[0], b"", 1)
            writer.write(words)
            await writer.drain()


@asynccontextmanager
async def never_blocking(url: str, folder: Path) -> AsyncGenerator[str]:
    """The address at which the server at `url` does not block."""
    wire, socket = NeverBlocking(Path(urlsplit(url).path)), folder / "quick"
    server = await asyncio.start_unix_server(wire.accept, socket)
    try:
        yield f"unix://{socket}?db=0"
    finally:
        server.close()
        await wire.close()
        await server.wait_closed()
