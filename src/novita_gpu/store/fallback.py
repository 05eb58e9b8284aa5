"""One store on two servers: the shared one while it answers, a private one while it does not, and the way back.

Which of the two it is decides the wire, under all rooms of the store: they are told nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Literal, Protocol

import structlog

from novita_gpu.store.base import StoreError, Unavailable
from novita_gpu.store.open import Store
from novita_gpu.store.wire import Wire

log = structlog.get_logger()

# A shared server that does not answer for so long is out. Shorter, and each of its restarts parts the stores; longer,
# and writes fail for longer.
OUT_AFTER_S = 2.0
# So many answers in a row, and it is back.
BACK_AFTER = 3
# Between two questions while it matters whether it answers.
ASK_EVERY_S = 0.5
ANSWER_S = 1.0
# Between two trials of a server that is back and lacks something.
TRY_EVERY_S = 5.0


class Sides(Protocol):
    """What the two stores have to do with each other."""

    async def part(self, private: Store) -> None:
        """Fills an empty private store with what is known here."""
        ...

    async def bring(self, private: Store, shared: Store) -> None:
        """Writes what moved in the private store to the shared one. May be repeated; what moves meanwhile is left."""
        ...

    async def meet(self, private: Store, shared: Store) -> None:
        """The same for the last time, while nothing moves. May be repeated until it is through."""
        ...

    async def is_begun(self, private: Store) -> bool:
        """The private store holds what was not written to the shared one yet, or not to its end."""
        ...


class Workplace(Protocol):
    """Where passes are made."""

    async def rest(self) -> None:
        """None is begun until `turn_to`; those under way are finished first."""
        ...

    async def turn_to(self, url: str) -> None:
        """They are made with the queue of that server."""
        ...


class Shelter(Protocol):
    """Private servers on this machine: one for each process while the shared one is out."""

    async def begin(self, *, goes_on: bool) -> str:
        """The address of this process's own, started if need be. The first time it may `go_on` with one that a process
        left in the midst of it, else it is empty. Raises `CannotStart`.
        """
        ...

    async def leave(self, *, is_done: bool) -> None:
        """Ends it. What is in it is removed if all of that `is_done` with."""
        ...

    async def each_left(self, meet: Callable[[str], Awaitable[None]]) -> None:
        """Gives `meet` the address of each that a process left behind, and removes it then."""
        ...


async def answers_at(wire: Wire) -> bool:
    """The server answers, in time."""
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            await wire.ping()
        return True
    return False


async def heeded(doubt: asyncio.Event, seconds: float) -> None:
    """Returns at the first doubt, or after so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await doubt.wait()


class Fallback:
    """`watch` keeps the store's wire where it belongs. `calm_s` lies between looks at a server that answers.

    `unfit` tries what a server that is back can do, and answers what lacks: another one may be in its place.
    """

    def __init__(
        self,
        *,
        store: Store,
        shared: str,
        shelter: Shelter,
        sides: Sides,
        work: Workplace,
        opened: Callable[[str], Store],
        answers: Callable[[], Awaitable[bool]],
        unfit: Callable[[Store], Awaitable[str]],
        now: Callable[[], datetime],
        calm_s: float = 10.0,
        heed: Callable[[asyncio.Event, float], Awaitable[None]] = heeded,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._shared, self._shelter, self._sides, self._now = store, shared, shelter, sides, now
        self._work, self._works_at, self._opened = work, shared, opened
        self._answers, self._unfit = answers, unfit
        self._calm_s, self._heed, self._pause, self._monotonic = calm_s, heed, pause, monotonic
        self._doubt = asyncio.Event()
        self._private = ""
        self.mode: Literal["redis", "fallback"] = "redis"
        self.since = now()
        self.reason = ""
        store.wire.on_fault(self._doubt.set)

    async def watch(self) -> None:
        """For ever. What cannot be done now is tried again."""
        while True:
            try:
                await self._keep_home() if self.mode == "redis" else await self._keep_away()
            except Exception:  # an edge: without this watch nothing ever comes back
                log.exception("fallback.failed", mode=self.mode)
                self._store.wire.let_go()
                await self._pause(ASK_EVERY_S)

    async def close(self) -> None:
        """The private store stays with what is in it."""
        await self._shelter.leave(is_done=False)

    async def is_there(self) -> bool:
        """The shared server answers."""
        return await self._answers()

    async def begin_away(self) -> str:
        """The address of the private store, where the shared one does not answer at start. Raises `CannotStart`."""
        url = self._works_at = await self._started(goes_on=True)
        self._turned("fallback", "the shared store did not answer at start")
        return url

    async def _keep_home(self) -> None:
        """Until the shared server has been out for a while."""
        await self._settle(self._shared)
        await self._shelter.leave(is_done=True)
        while True:
            await self._gather_up()
            self._doubt.clear()
            await self._heed(self._doubt, self._calm_s)
            if await self._is_out():
                return await self._go_away()

    async def _is_out(self) -> bool:
        since = self._monotonic()
        while not await self._answers():
            if self._monotonic() - since >= OUT_AFTER_S:
                return True
            await self._pause(ASK_EVERY_S)
        return False

    async def _keep_away(self) -> None:
        """Until the shared server has answered again for a while."""
        await self._settle(self._private)
        answers = 0
        while answers < BACK_AFTER:
            await self._pause(ASK_EVERY_S)
            answers = answers + 1 if await self._answers() else 0
        if await self._serves():
            await self._come_back()
        else:
            await self._pause(TRY_EVERY_S)

    async def _serves(self) -> bool:
        """The server that is back can do what is needed of it. What lacks is why this goes on here."""
        try:
            async with self._opened(self._shared) as shared:
                lack = await self._unfit(shared)
        except Unavailable:
            return False
        if lack and lack != self.reason:
            log.error("fallback.unfit", reason=lack)
        self.reason = lack or self.reason
        return not lack

    async def _go_away(self) -> None:
        """Reads go on from the view; writes wait until the private store has begun."""
        log.warning("fallback.begun", reason="the shared store does not answer")
        self._store.wire.hold()
        url = await self._started()
        await self._store.wire.turn_to(url)
        self._turned("fallback", "the shared store does not answer")

    async def _settle(self, url: str) -> None:
        """Work is where the store is."""
        if self._works_at != url:
            await self._work.turn_to(url)
            self._works_at = url

    async def _come_back(self) -> None:
        """What is under way ends first, so that its answer is written before the stores meet. Writes are held only for
        what moved while the most of it was brought.
        """
        self._works_at = ""
        await self._work.rest()
        async with self._opened(self._private) as private, self._opened(self._shared) as shared:
            await self._sides.bring(private, shared)
        self._store.wire.hold()
        await self._meet(self._private)
        await self._store.wire.turn_to(self._shared)
        self._turned("redis", "")
        log.warning("fallback.ended", reason="the shared store answers again")

    async def _started(self, *, goes_on: bool = False) -> str:
        """The private server, filled. Who knows nothing `goes_on` with what was left; who knows more begins anew."""
        self._private = await self._shelter.begin(goes_on=goes_on)
        async with self._opened(self._private) as private:
            if not await self._sides.is_begun(private):
                await _emptied(private)
                await self._sides.part(private)
        return self._private

    async def _gather_up(self) -> None:
        """What processes left that were killed while the shared store was out. What cannot be met now is met later."""
        try:
            await self._shelter.each_left(self._meet)
        except StoreError as fault:
            log.warning("fallback.left", reason=str(fault))

    async def _meet(self, url: str) -> None:
        async with self._opened(url) as private, self._opened(self._shared) as shared:
            await self._sides.meet(private, shared)

    def _turned(self, mode: Literal["redis", "fallback"], reason: str) -> None:
        self.mode, self.reason, self.since = mode, reason, self._now()
        self._store.wire.is_away = mode == "fallback"


async def _emptied(private: Store) -> None:
    """Of a private store only: nobody else has keys on its server."""
    for key in await private.wire.keys("*"):
        await private.wire.delete(key.decode())
