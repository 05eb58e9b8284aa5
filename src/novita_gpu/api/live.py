"""A response without an end, and its end for a reader that does not keep up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Message, Receive, Send

from novita_gpu import observe

told = observe.logger(__name__)


class LiveStream(ASGIStreamingResponse):
    """Ends when its frames do, when the reader goes, or when one frame was not taken `within` this time.

    Then the connection is closed, so that nothing more is kept for that reader: it comes back and goes on after the
    last frame that it has read. Each stream waits for its own reader alone.
    """

    def __init__(self, frames: AsyncGenerator[bytes], *, media_type: str, within: timedelta) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType] — its iterators are of anything
            iterator=frames, media_type=media_type, headers={"x-accel-buffering": "no"}
        )
        self._frames, self._within = frames, within

    async def send_body(self, send: Send, receive: Receive) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._within.total_seconds()):
                await send(message)

        try:
            with observe.spent(observe.HELD):
                async with aclosing(self._frames):
                    await super().send_body(send_in_time, receive)
        except* TimeoutError:
            told.warning("stream.dropped", reason=f"not read for {self._within.total_seconds():g} s")
