"""A real receiver on a real port. It keeps what came, checks it with the library that receivers use, and answers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
Answering = Callable[[web.Request], web.Response]


def fine(_request: web.Request) -> web.Response:
    return web.Response()


def verified(secret: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The event, if one of its signatures is the one that the library makes. Whatever its age: tests turn the clock."""
    told = {name.lower(): value for name, value in headers.items()}
    sent_at = datetime.fromtimestamp(int(told["webhook-timestamp"]), UTC)
    assert Webhook(secret).sign(told["webhook-id"], sent_at, body.decode()) in told["webhook-signature"].split()
    return msgspec.json.decode(body)


class Receiver:
    """`answer` says what each request gets; while `gate` is closed no answer is given at all."""

    def __init__(self, answer: Answering = fine) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)
        self.open = 0
        self.most_open = 0
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers in self.headers]

    async def handle(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), {name.lower(): value for name, value in request.headers.items()}
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.bodies.append(verified(SECRET, body, headers))
        self.headers.append(headers)
        self.arrived.release()
        try:
            await self.gate.wait()
        finally:
            self.open -= 1
        return self.answer(request)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            for _ in range(count):
                await self.arrived.acquire()


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncGenerator[Receiver]:
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
        receiver.gate.set()
