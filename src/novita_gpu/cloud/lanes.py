"""The way to the cloud: the lane's circuit, a slot of it, a call of the budget, held for one mutation or look."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from novita_gpu.cloud.base import Lane
from novita_gpu.cloud.budget import Budget
from novita_gpu.cloud.circuit import Circuits

# Calls at once. Too few: launches queue behind slow answers; too many: the cloud's edge takes it for an attack.
SLOTS = {Lane.SPENDING: 16, Lane.LOOKING: 8, Lane.SAVING: 8}


class Place:
    """One permit while it is held. Its first call is paid for; further ones are counted as they are made."""

    def __init__(self, lanes: "Lanes") -> None:
        self.lanes = lanes
        self.held = True
        self._paid = 1

    def pay(self) -> None:
        """Counts one call. Never refuses: nothing is held up between an intent and its call."""
        if self._paid:
            self._paid -= 1
        else:
            self.lanes.budget.charge()


_place: ContextVar[Place | None] = ContextVar("cloud_place", default=None)


class Lanes:
    """Slots by lane, each behind its circuit, so that no lane waits for another, and one budget."""

    def __init__(self, budget: Budget, circuits: Circuits, slots: dict[Lane, int] | None = None) -> None:
        self.budget = budget
        self._circuits = circuits
        self._free = {lane: asyncio.Semaphore(size) for lane, size in (slots or SLOTS).items()}

    @asynccontextmanager
    async def permit(self, lane: Lane) -> AsyncGenerator[None]:
        """Waits for a slot; raises `Throttled` or `Unreachable` at once rather than wait for the others."""
        self._check(lane)
        async with self._free[lane]:
            with self._circuits.of(lane).entered():
                self.budget.take(lane)
                outer, place = _place.get(), Place(self)
                _place.set(place)
                try:
                    yield
                finally:
                    # A task started inside may outlive the permit, and must not go on under it.
                    place.held = False
                    _place.set(outer)

    @asynccontextmanager
    async def place(self, lane: Lane) -> AsyncGenerator[Place]:
        """The place held already, whatever its lane, else one of its own for as long as this lasts."""
        if held := self._held():
            yield held
            return
        async with self.permit(lane):
            place = self._held()
            assert place is not None
            yield place

    def _held(self) -> Place | None:
        place = _place.get()
        return place if place and place.held and place.lanes is self else None

    def _check(self, lane: Lane) -> None:
        self._circuits.of(lane).check()
        self.budget.check(lane)
