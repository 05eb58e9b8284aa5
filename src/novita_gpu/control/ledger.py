"""What is remembered between listings: machines that nobody has, absences that an operator has confirmed."""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.orphans import REMOVALS, REMOVALS_WITHIN, Orphans, Unclaimed
from novita_gpu.domain.value import Value
from novita_gpu.store import Store

ORPHANS = "orphans"
CONFIRMED = "gone-confirmed"
REMOVED = "orphans-removed"
# How long a confirmed absence is believed. Too short: the rule of gone has not closed them all; too long: machines that
# came back and go again are not doubted.
CONFIRMED_FOR = timedelta(hours=1)


class Confirmed(Value, frozen=True, kw_only=True):
    """These machines may be absent, until then."""

    machines: tuple[CloudId, ...]
    until: datetime


def known_of(stored: str | None) -> tuple[Unclaimed, ...]:
    """The fact, read."""
    return msgspec.json.decode(stored, type=tuple[Unclaimed, ...]) if stored else ()


class Ledger:
    """Every call may raise the store's `Unavailable`. Of two writers at once the later counts: a sighting may come
    late by that, and is never invented.
    """

    def __init__(self, store: Store) -> None:
        self._facts, self._feed = store.facts, store.feed

    async def orphans(self) -> Orphans:
        return Orphans(known=await self.known(), incarnation=await self.incarnation())

    async def incarnation(self) -> str:
        """Names the store's contents: another one after they were lost."""
        return (await self._feed.position()).incarnation or ""

    async def known(self) -> tuple[Unclaimed, ...]:
        return known_of(await self._facts.fact(ORPHANS))

    async def write(self, known: Collection[Unclaimed]) -> None:
        if known:
            await self._facts.put(ORPHANS, msgspec.json.encode(known).decode())
        else:
            await self._facts.forget(ORPHANS)

    async def may_remove(self, machine: CloudId, now: datetime) -> bool:
        """A place among the removals of this hour."""
        return await self._facts.ration(REMOVED, machine, at_most=REMOVALS, within=REMOVALS_WITHIN, now=now)

    async def removable(self, machines: Collection[CloudId], now: datetime) -> int:
        """Of so many orphans, how many would get a place now."""
        taken = set(await self._facts.rationed(REMOVED, within=REMOVALS_WITHIN, now=now))
        fresh = [machine for machine in machines if machine not in taken]
        return len(machines) - len(fresh) + min(len(fresh), max(0, REMOVALS - len(taken)))

    async def confirmed(self, now: datetime) -> frozenset[CloudId]:
        """The machines whose absence is believed now."""
        stored = await self._facts.fact(CONFIRMED)
        known = msgspec.json.decode(stored, type=Confirmed) if stored else None
        return frozenset(known.machines) if known and now < known.until else frozenset()

    async def confirm(self, machines: Collection[CloudId], now: datetime) -> None:
        """In place of what was confirmed before."""
        told = Confirmed(machines=tuple(sorted(machines)), until=now + CONFIRMED_FOR)
        await self._facts.put(CONFIRMED, msgspec.json.encode(told).decode(), ttl=CONFIRMED_FOR)
