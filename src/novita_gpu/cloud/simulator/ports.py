"""Real listeners on loopback, one for each port of each running machine."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass

from novita_gpu.cloud.simulator.doors import Kind, Reply

HOST = "127.0.0.1"
BACKLOG = 64
BANNERS = {"ssh": b"SSH-2.0-OpenSSH_9.6\r\n", "tcp": b""}
REASONS = {200: "OK", 502: "Bad Gateway"}


@dataclass(slots=True, eq=False)
class Listener:
    """One port. HTTP listens from the start, as the cloud's proxy does; tcp and ssh refuse until they answer."""

    machine_id: str
    port: int
    kind: Kind
    endpoint: str
    socket: socket.socket
    server: asyncio.Server | None = None


class LoopbackAddresses:
    """Addresses on 127.0.0.1, each new at every start; `follow` brings listeners in line with the simulated cloud."""

    def __init__(self) -> None:
        self.reply: Callable[[str], Reply] = lambda _: Reply(accepts=False)
        self._listeners: dict[str, list[Listener]] = {}
        self._waiting: set[Listener] = set()
        self._leaving: list[Listener] = []
        self._visits: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._following = asyncio.Lock()

    def open(self, machine_id: str, _cluster_id: str, port: int, kind: Kind, /) -> str:
        """Bind a free port at once, so that the address is true from the instant it is told."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, 0))
        place = f"{HOST}:{bound.getsockname()[1]}"
        endpoint = f"http://{place}" if kind == "http" else place
        listener = Listener(machine_id, port, kind, endpoint, bound)
        if kind == "http":
            bound.listen(BACKLOG)
        self._listeners.setdefault(machine_id, []).append(listener)
        self._waiting.add(listener)
        return endpoint

    def close(self, machine_id: str, /) -> None:
        """Give up the ports of a machine; they close with the next `follow`."""
        self._leaving += self._listeners.pop(machine_id, [])

    async def follow(self) -> None:
        """Open the ports that answer by now, close those given up."""
        async with self._following:
            self._close_leaving()
            for listener in [waiting for waiting in self._waiting if self._is_due(waiting)]:
                self._waiting.discard(listener)
                await self._listen(listener)

    async def aclose(self) -> None:
        """Close everything, visits under way too."""
        for machine_id in list(self._listeners):
            self.close(machine_id)
        async with self._following:
            self._close_leaving()
        for writer in self._visits:
            writer.close()
        await asyncio.gather(*filter(None, self._visits.values()), return_exceptions=True)

    def _close_leaving(self) -> None:
        leaving, self._leaving = self._leaving, []
        for listener in leaving:
            self._waiting.discard(listener)
            if listener.server is not None:
                listener.server.close()
            listener.socket.close()

    async def _listen(self, listener: Listener) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(listener, reader, writer)

        listener.server = await asyncio.start_server(serve, sock=listener.socket, backlog=BACKLOG)

    def _is_due(self, listener: Listener) -> bool:
        return listener.kind == "http" or self.reply(listener.endpoint).accepts

    async def _serve(self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visits[writer] = asyncio.current_task()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if listener.kind == "http":
                await self._answer_http(listener, reader, writer)
            elif self.reply(listener.endpoint).accepts:
                writer.write(BANNERS[listener.kind])
                await writer.drain()
                await reader.read()
        del self._visits[writer]
        writer.close()

    async def _answer_http(
        self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        accepts, status = self.reply(listener.endpoint)
        if not accepts:
            return
        if status is None:
            await reader.read()
            return
        body = json.dumps({"instanceId": listener.machine_id, "port": listener.port}).encode()
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Simulated')}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + (b"" if request.startswith(b"HEAD ") else body))
        await writer.drain()
