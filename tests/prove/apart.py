"""A process that may lose the shared store, on seams: its private stores, its line, and where its work is meanwhile.

What decides is the service's own `Fallback`, with its parting and its meeting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from novita_gpu.control.journal import Journal
from novita_gpu.control.listening import Listening
from novita_gpu.control.sides import TwoSides
from novita_gpu.placement import Silent
from novita_gpu.store import Store
from novita_gpu.store.fallback import Fallback
from novita_gpu.store.folder import CannotStart
from tests.prove.doorbell import Doorbell
from tests.prove.seams import SHARED, Gate, Straight
from tests.prove.turns import Life

PRIVATE = ("private 1", "private 2", "private 3")
# As `placement` has it: twice the interval of health.
CALM_S = 20.0
FINISH_WITHIN_S = 15.0


@dataclass
class Slots:
    """The private stores on this machine, and whose they are. What is in one outlives its process."""

    places: Mapping[str, Straight]
    bell: Callable[[], Doorbell]
    owners: dict[str, Life] = field(default_factory=dict[str, Life])
    bells: dict[str, Doorbell] = field(default_factory=dict[str, Doorbell])

    def is_used(self, place: str) -> bool:
        return bool(self.places[place].ask("DBSIZE"))

    def free(self) -> list[str]:
        """Those with something in them first."""
        left = [place for place in PRIVATE if place not in self.owners or self.owners[place].dead]
        return sorted(left, key=lambda place: not self.is_used(place))

    def begin(self, place: str, life: Life) -> None:
        self.owners[place] = life
        if not self.is_used(place):
            self.bells[place] = self.bell()

    def end(self, place: str, *, is_done: bool) -> None:
        if is_done:
            self.places[place].ask("FLUSHDB")
        self.owners.pop(place, None)


class ShelterSeam:
    """A `fallback.Shelter`."""

    def __init__(self, slots: Slots, gate: Gate) -> None:
        self._slots, self._gate, self._own = slots, gate, ""

    async def begin(self, *, goes_on: bool) -> str:
        await self._gate.take("begin")
        if not self._own:
            found = next((place for place in self._slots.free() if goes_on or not self._slots.is_used(place)), None)
            if found is None:
                raise CannotStart("no slot is free")
            self._own = found
            self._slots.begin(found, self._gate.life)
        return self._own

    async def leave(self, *, is_done: bool) -> None:
        if self._own:
            await self._gate.take("leave")
            self._slots.end(self._own, is_done=is_done)
            self._own = ""

    async def each_left(self, meet: Callable[[str], Awaitable[None]]) -> None:
        for place in [place for place in self._slots.free() if self._slots.is_used(place)]:
            self._slots.begin(place, self._gate.life)
            is_met = False
            try:
                await meet(place)
                await self._gate.take("remove")
                is_met = True
            finally:
                if not self._gate.life.dead:
                    self._slots.end(place, is_done=is_met)


class WorkSeam:
    """A `fallback.Workplace`: where the jobs of one process come from."""

    def __init__(self, gate: Gate, slots: Slots | None) -> None:
        self._gate, self._slots = gate, slots
        self.place, self.rests, self.in_hand = SHARED, False, 0

    @property
    def doorbell(self) -> Doorbell | None:
        """None: nobody hears, as the line is cut."""
        scene = self._gate.scene
        if self._slots is None:
            return scene.doorbell
        if self.place != SHARED:
            return self._slots.bells[self.place]
        return None if scene.is_cut() else scene.doorbell

    async def rest(self) -> None:
        self.rests, ends = True, self._gate.scene.now() + FINISH_WITHIN_S
        await self._gate.scene.turns.take(self._gate.life, "clock", "rest", at=ends, when=lambda: not self.in_hand)

    async def turn_to(self, url: str) -> None:
        self.begins_at(url)
        if self.doorbell:
            self.doorbell.look(self._gate.scene.now())

    def begins_at(self, url: str) -> None:
        self.place, self.rests = url, False


def fallback_on(
    gate: Gate,
    store: Store,
    slots: Slots,
    work: WorkSeam,
    opened: Callable[[str], Store],
    facts: Mapping[str, str],
    now: Callable[[], datetime],
    new_id: Callable[[str], str],
    receiver: str,
) -> Fallback:
    """The service's own, on the clock that is turned by hand."""
    scene, life = gate.scene, gate.life

    async def answers() -> bool:
        await gate.take("ping")
        return not scene.is_cut() and scene.now() >= scene.out.get("store", 0.0)

    async def unfit(_: Store) -> str:
        return ""

    async def heed(doubt: asyncio.Event, seconds: float) -> None:
        await scene.turns.take(life, "clock", "calm", at=scene.now() + seconds, when=doubt.is_set)

    listening = Listening(store, now)
    return Fallback(
        store=store,
        shared=SHARED,
        shelter=ShelterSeam(slots, gate),
        sides=TwoSides(
            store=store,
            listening=listening,
            facts=facts,
            journal_of=lambda other: Journal(other, Silent(), new_id, receiver),
            now=now,
            new_id=new_id,
        ),
        work=work,
        opened=opened,
        answers=answers,
        unfit=unfit,
        now=now,
        calm_s=CALM_S,
        heed=heed,
        pause=lambda seconds: gate.pause(seconds, "sleep"),
        monotonic=scene.now,
    )
