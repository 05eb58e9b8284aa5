"""Operations released one at a time: all that runs stands still but the one whose turn it is."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.prove.schedule import Hazard


class Killed(BaseException):
    """The process is gone. No handler of ours may catch it."""


@dataclass(eq=False)
class Life:
    """A process from its start to its end. `wakes_at` is the end of a pause."""

    name: str
    dead: bool = False
    wakes_at: float = 0.0
    tasks: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])


@dataclass(eq=False)
class Turn:
    """One operation that waits to be released: not before `at`, or as soon as `when` holds."""

    life: Life
    seam: str
    name: str
    at: float
    when: Callable[[], bool] | None
    passage: "asyncio.Future[Hazard | None]"

    def is_due(self, now: float) -> bool:
        return self.life.wakes_at <= now and (self.at <= now or (self.when is not None and self.when()))

    def next_at(self) -> float:
        return max(self.at, self.life.wakes_at)


class Turns:
    """Needs the loop of asyncio itself, whose queue of callbacks tells when nothing more runs."""

    def __init__(self, now: Callable[[], float], order: int) -> None:
        self._now = now
        self._chance = Random(order) if order else None  # noqa: S311 - the same order at each run
        self._loop = asyncio.get_running_loop()
        self._under_way, self._done = 0, asyncio.Event()
        self.waiting: list[Turn] = []

    async def take(
        self, life: Life, seam: str, name: str, *, at: float = 0.0, when: Callable[[], bool] | None = None
    ) -> Hazard | None:
        """Waits for its turn, and answers the trouble that it is to meet. Raises `Killed`."""
        if life.dead:
            raise Killed(life.name)
        turn = Turn(life, seam, name, at, when, self._loop.create_future())
        self.waiting.append(turn)
        try:
            return await turn.passage
        finally:
            if turn in self.waiting:
                self.waiting.remove(turn)

    @contextmanager
    def effect(self) -> Generator[None]:
        """Around everything that really waits for something outside: nothing else is released meanwhile."""
        self._under_way += 1
        self._done.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._done.set()

    def spawn(self, life: Life, run: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(run)
        life.tasks.add(task)
        task.add_done_callback(life.tasks.discard)

    def due(self) -> list[Turn]:
        now = self._now()
        return [turn for turn in self.waiting if turn.is_due(now)]

    def choose(self, turns: list[Turn]) -> Turn:
        return self._chance.choice(turns) if self._chance else turns[0]

    async def release(self, turn: Turn, hazard: Hazard | None) -> None:
        """Lets one operation go, and waits until everything stands still again."""
        self.waiting.remove(turn)
        turn.passage.set_result(hazard)
        await self.quiet()

    async def kill(self, life: Life) -> None:
        """Everything of that process ends where it stands."""
        life.dead = True
        for turn in [turn for turn in self.waiting if turn.life is life]:
            self.waiting.remove(turn)
            turn.passage.set_exception(Killed(life.name))
        await self.quiet()
        while life.tasks:  # those that wait for another task, not for a turn
            for task in tuple(life.tasks):
                task.cancel()
            await self.quiet()

    async def quiet(self) -> None:
        """Until no task can go on by itself."""
        while True:
            if self._under_way:
                await self._done.wait()
            elif self._loop._ready:  # pyright: ignore -- nothing public tells it
                await asyncio.sleep(0)
            else:
                return
