"""Bounded waiting for what really happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
SOON_S = 60.0


async def soon(happening: Awaitable[T]) -> T:
    async with asyncio.timeout(SOON_S):
        return await happening


async def until(is_so: Callable[[], bool]) -> None:
    """Looks again and again, where nobody tells."""
    async with asyncio.timeout(SOON_S):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
