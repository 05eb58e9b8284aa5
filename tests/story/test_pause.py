"""Requests over one connection do not wait for one another's receipts."""

import time
from collections.abc import Callable

from tests.plane import Service


async def test_a_request_over_a_kept_connection_is_answered_at_once(
    service: Service, figure: Callable[[str], None]
) -> None:
    """A body that waits until its head is acknowledged waits 40 ms, each time."""
    took: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        await service.get("/instances")
        took.append(time.perf_counter() - began)
    figure(f"a list over a kept connection: {min(took) * 1000:.1f} ms")
    assert min(took[1:]) < 0.035
