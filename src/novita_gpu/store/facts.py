"""Small facts about the whole: set once, remembered for a while, or held by one at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from novita_gpu.store.base import Unavailable
from novita_gpu.store.keys import EMPTIES_FOR, Keys
from novita_gpu.store.stored import instant, micros, micros_of, millis
from novita_gpu.store.wire import Script, Wire

FIRST = Script("first")
LOCK = Script("lock")
UNLOCK = Script("unlock")
REMEMBER = Script("remember")
RATION = Script("ration")
RAISE = Script("raise")
LOCKED_AT_MOST = timedelta(hours=1)
# A lock is renewed so often within its time: two renewals may be lost.
RENEWALS = 3


class Facts:
    """The small facts of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(self, wire: Wire, keys: Keys, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._wire, self._keys, self._pause = wire, keys, pause

    async def first(self, name: str, value: str) -> str:
        """Stores the fact unless there is one; answers what is stored, for ever the same."""
        return (await self._wire.value(FIRST, (self._keys.fact(name),), (value,)) or b"").decode()

    async def fact(self, name: str) -> str | None:
        stored = await self._wire.get(self._keys.fact(name))
        return stored.decode() if stored is not None else None

    async def several(self, *names: str) -> list[str | None]:
        """In the order asked for, in one round trip."""
        stored = await self._wire.mget([self._keys.fact(name) for name in names])
        return [value.decode() if value is not None else None for value in stored]

    async def glance(self, names: Sequence[str], lock: str) -> tuple[list[str | None], str | None]:
        """These facts in their order, and who holds a lock, in one command."""
        *stored, holder = await self._wire.mget([*(self._keys.fact(name) for name in names), self._keys.lock(lock)])
        return [None if value is None else value.decode() for value in stored], holder.decode() if holder else None

    async def put(self, name: str, value: str, ttl: timedelta | None = None) -> None:
        """Stores the fact in place of any before; without `ttl` it stays."""
        await self._wire.put(self._keys.fact(name), value, millis(ttl) if ttl is not None else None)

    async def forget(self, name: str) -> None:
        await self._wire.delete(self._keys.fact(name))

    async def remember_empty(
        self, key: str, now: datetime, *, first: timedelta, longest: timedelta, forgiven: timedelta
    ) -> None:
        """Remembers that an offer is sold out: for `first`, doubled up to `longest` when it is met again after that.

        Each `forgiven` without it takes one repeat back.
        """
        keys = (self._keys.empties(), self._keys.empty_times())
        spans = (micros_of(first), micros_of(longest), micros_of(forgiven))
        await self._wire.number(REMEMBER, keys, (key, micros(now), *spans, millis(EMPTIES_FOR)))

    async def empties(self, now: datetime) -> dict[str, datetime]:
        """What is remembered as empty at `now`, and until when."""
        words = (f"({micros(now)}", "+inf", "BYSCORE")
        stored = await self._wire.zrange_scores(self._keys.empties(), *words)
        return {member.decode(): instant(int(until)) for member, until in stored}

    async def forget_empty(self, key: str) -> None:
        """It was sold: there is some."""
        await self._wire.zrem(self._keys.empties(), (key,))

    async def reserved(self) -> int:
        """What all living records reserve, as a rate."""
        return int(await self._wire.get(self._keys.reserved()) or 0)

    async def raise_sequence(self, least: int) -> None:
        """No event is given a sequence up to `least` from here on: another store has given these."""
        await self._wire.number(RAISE, (self._keys.sequence(),), (least,))

    async def counts(self) -> dict[str, int]:
        """The totals of what was committed, by name."""
        return {what.decode(): int(many) for what, many in (await self._wire.hgetall(self._keys.counts())).items()}

    async def ration(self, name: str, member: str, *, at_most: int, within: timedelta, now: datetime) -> bool:
        """A place for this member among `at_most` in any span of that length, all processes together.

        True also while it still has the one that it was given. `within` is an hour at most.
        """
        span = min(within, LOCKED_AT_MOST)
        words = (member, micros(now), micros(now - span), at_most, millis(span))
        return bool(await self._wire.number(RATION, (self._keys.ration(name),), words))

    async def rationed(self, name: str, *, within: timedelta, now: datetime) -> list[str]:
        """The members that have a place now."""
        since = micros(now - min(within, LOCKED_AT_MOST))
        return [m.decode() for m in await self._wire.zrange(self._keys.ration(name), f"({since}", "+inf", "BYSCORE")]

    @asynccontextmanager
    async def lock(self, name: str, owner: str, ttl: timedelta) -> AsyncGenerator[bool]:
        """True: held until the block ends, renewed meanwhile, and free `ttl` after its holder died. False: another's.

        The same owner gets it again. A process that stood still for longer than `ttl` may have lost it.
        """
        key, ttl = self._keys.lock(name), min(ttl, LOCKED_AT_MOST)
        held = await self._take(key, owner, ttl)
        renewal = asyncio.ensure_future(self._renew(key, owner, ttl)) if held else None
        try:
            yield held
        finally:
            if renewal:
                renewal.cancel()
                await asyncio.gather(renewal, return_exceptions=True)
                await self._give_back(key, owner)

    async def holder(self, name: str) -> str | None:
        """Who holds the lock of this name."""
        owner = await self._wire.get(self._keys.lock(name))
        return owner.decode() if owner is not None else None

    async def _take(self, key: str, owner: str, ttl: timedelta) -> bool:
        return bool(await self._wire.number(LOCK, (key,), (owner, millis(ttl))))

    async def _renew(self, key: str, owner: str, ttl: timedelta) -> None:
        """Until it is another's. A renewal that the store does not take is tried again."""
        while True:
            await self._pause(ttl.total_seconds() / RENEWALS)
            with suppress(Unavailable):
                if not await self._take(key, owner, ttl):
                    return

    async def _give_back(self, key: str, owner: str) -> None:
        try:
            await self._wire.number(UNLOCK, (key,), (owner,))
        except Unavailable:
            return  # it ends by itself, and what was done under it is not undone by this
