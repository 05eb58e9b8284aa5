"""How large a request may be, and a body that comes in time or not at all."""

import asyncio
from datetime import timedelta

from novita_gpu.api.edge import Message, Receive
from novita_gpu.domain.errors import Problem

# Above the largest create by a wide margin: 100 environment entries of 4 kB are 450 kB.
MAX_BODY = 1024 * 1024
# The longest query of ours, a few hundred names, is well below.
MAX_URL_CHARS = 8192
# Ours are below 4 KiB; a browser's cookies for localhost may be more.
MAX_HEADERS = 32 * 1024
# A megabyte over a bad line takes a few seconds.
WITHIN = timedelta(seconds=30)


class Deadline:
    """Receives as the server does; raises `VALIDATION_ERROR` when the whole body has not come in time.

    What is received after the body, the end of the connection, has no deadline.
    """

    def __init__(self, receive: Receive, within: timedelta) -> None:
        self._receive, self._within = receive, within
        self._ends: float | None = None
        self.is_late = False
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._ends = self._ends or now + self._within.total_seconds()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            self.is_late = True
            text = f"The body did not arrive within {self._within.total_seconds():g} s."
            raise Problem("VALIDATION_ERROR", text) from None
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message
