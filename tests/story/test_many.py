"""Many at once, on a private Valkey that is durable at every write."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.plane import serving

MANY = 200


async def test_two_hundred_creates_at_once_are_all_ready_and_none_is_bought_twice(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with serving(tmp_path) as service:
        names = [f"w-{number}" for number in range(MANY)]
        began = time.monotonic()
        await asyncio.gather(*(service.create(name) for name in names))
        accepted = time.monotonic() - began
        instances = await asyncio.gather(*(service.until("ready", of=name) for name in names))
        ready = time.monotonic() - began
        figure(f"{MANY} creates at once: accepted in {accepted:.1f} s, all ready in {ready:.1f} s")
        audit = service.audit()
        assert (audit["everCreated"], len(audit["alive"]), audit["duplicates"]) == (MANY, MANY, {})
        assert len({instance["novitaInstanceId"] for instance in instances}) == MANY
        assert set(audit["aliveAtOnce"].values()) == {1}
        assert service.count("create") == MANY
