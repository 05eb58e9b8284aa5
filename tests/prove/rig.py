"""A server of its own, and one schedule after another on it."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from novita_gpu.store.local import find_server
from tests.prove.apart import PRIVATE
from tests.prove.explore import Exploration, Outcome
from tests.prove.schedule import Schedule
from tests.prove.seams import Straight
from tests.valkey import running_server


@dataclass
class Rig:
    """Runs schedules, each from an empty store."""

    server: Straight
    privates: tuple[Straight, ...] = ()

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.explored = 0

    async def run(self, schedule: Schedule, *, traced: bool = False) -> Outcome:
        self.server.ask("FLUSHALL")
        self.explored += 1
        asyncio.get_running_loop().set_exception_handler(_silent)
        exploration = Exploration(
            self.server, f"p{next(self._numbers)}", schedule, privates=self.privates, traced=traced
        )
        return await exploration.run()

    async def breaks(self, schedule: Schedule) -> bool:
        return bool((await self.run(schedule)).faults)


def _silent(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    """What a killed process leaves unfinished is told to nobody."""


@contextmanager
def rig() -> Generator[Rig]:
    """Logs nothing meanwhile: thousands of faults are met on purpose."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        with running_server(find_server()) as url:
            path = str(Path(urlsplit(url).path))
            server, *privates = (Straight(path, database) for database in range(1 + len(PRIVATE)))
            try:
                yield Rig(server, tuple(privates))
            finally:
                for each in (server, *privates):
                    each.close()
    finally:
        structlog.configure(**before)
