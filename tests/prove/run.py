"""The parts of the search, each a share of one process: all single cuts and bad answers, all pairs, and by chance."""

from collections.abc import AsyncIterator, Callable

from msgspec.structs import replace

from tests.prove.explore import Outcome
from tests.prove.rig import Rig
from tests.prove.schedule import Schedule
from tests.prove.search import LIVES, PAIRED, PARTED_LIVES, Span, of_seed
from tests.prove.tally import Tally


class Share:
    """Every `of`-th schedule of each part, beginning with number `turn`."""

    def __init__(self, rig: Rig, turn: int = 0, of: int = 1, told: Callable[[Tally], None] = lambda _: None) -> None:
        self._rig, self._turn, self._of, self._told = rig, turn, of, told
        self.tally = Tally()

    async def singles(self, *, replicas: int = 1, step: int = 1) -> None:
        """Every cut of every life, and one in `step` of the bad answers in it."""
        for life, schedule in LIVES.items():
            span = await self._span(replace(schedule, replicas=replicas))
            points = {(f"{life} of {replicas}", number) for number in range(span.first, span.last)}
            self.tally.all_cuts |= points
            for number, cut in enumerate(span.cut()):
                if number % self._of == self._turn and (await self.run(cut)).met:
                    self.tally.cuts.add((f"{life} of {replicas}", cut.hazards[0].nth))
            for number, spoiled in enumerate((*span.spoiled(), *span.beaten())[::step]):
                if number % self._of == self._turn:
                    await self.run(spoiled)

    async def pairs(self, *, every: bool = False) -> None:
        """Bad answers with a kill at each operation after them, and the other way round: as many as `PAIRED` says."""
        for life, of in PAIRED.items():
            step = 1 if every else of
            span = await self._span(LIVES[life])
            firsts = (*span.spoiled(), *span.killed(after=-1))
            for number, first in enumerate(firsts):
                if number % self._of == self._turn:
                    async for at, second in self._seconds(first):
                        if (number + at) % step == 0:
                            await self.run(second)

    async def parted(self, step: int) -> None:
        """One in `step` of the cuts and bad answers from the moment on in which one of two replicas loses its store."""
        for life, schedule in PARTED_LIVES.items():
            span = await self._span(schedule)
            points = list(enumerate((*span.cut(), *span.spoiled())))[::step]
            self.tally.all_cuts |= {(life, number) for number in range(span.first, span.last)}
            for number, (_, spoiled) in enumerate(points):
                if number % self._of == self._turn and (await self.run(spoiled)).met:
                    self.tally.cuts.add((life, spoiled.hazards[0].nth))

    async def by_chance(self, seeds: range, goes_on: Callable[[], bool] = lambda: True) -> None:
        for seed in seeds[self._turn :: self._of]:
            if not goes_on():
                return
            await self.run(of_seed(seed))

    async def _seconds(self, first: Schedule) -> AsyncIterator[tuple[int, Schedule]]:
        """The life goes another way after the first trouble: what can be met in it is seen there."""
        span, at = await self._span(first), first.hazards[0].nth
        is_kill = first.hazards[0].trouble == "kill"
        for numbered in enumerate(span.spoiled(after=at) if is_kill else span.killed(after=at)):
            yield numbered

    async def _span(self, schedule: Schedule) -> Span:
        return Span.of(schedule, await self._rig.run(schedule))

    async def run(self, schedule: Schedule) -> Outcome:
        outcome = await self._rig.run(schedule)
        self.tally.add(schedule, outcome)
        self._told(self.tally)
        return outcome
