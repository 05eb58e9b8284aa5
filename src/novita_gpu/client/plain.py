"""The client for asyncio."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Self

from novita_gpu.client.plane import PlaneCalls
from novita_gpu.client.transport import Retry, Transport

DEFAULT_URL = "http://127.0.0.1:3000"
TIMEOUT = timedelta(seconds=30)  # the service answers in milliseconds; its proxies give up after a minute


class Client(PlaneCalls):
    """One service, one key. To be closed, or used with `async with`.

    A call that the service turned away (429, 503) or that had no answer is tried again by `retry`; creates, starts,
    stops and restarts bear an Idempotency-Key, so that this never does them twice. Errors are `ClientError`s.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: timedelta = TIMEOUT,
        retry: Retry | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(Transport(url, key, timeout=timeout, retry=retry or Retry(), sleep=sleep))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()
