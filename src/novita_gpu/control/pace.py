"""Long work in short steps, so that requests are answered meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

# Records of one step, some ten milliseconds of work. More, and whoever asks is held up; fewer, and it takes longer.
STEP = 200


async def paced(items: Iterable[T]) -> AsyncIterator[T]:
    """All of them; after each step others have their turn."""
    for number, item in enumerate(items, 1):
        yield item
        if number % STEP == 0:
            await asyncio.sleep(0)
