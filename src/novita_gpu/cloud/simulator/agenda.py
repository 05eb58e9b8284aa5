"""What time alone brings about, in its order."""

import heapq
from itertools import count
from typing import Literal, NamedTuple

Kind = Literal["status", "spot", "job", "forget", "look"]


class Due(NamedTuple):
    """Something that happens by itself at `at`, unless the plan it belongs to was replaced meanwhile."""

    at: float
    order: int
    kind: Kind
    id: str
    plan: int = 0


class Agenda:
    """Things to come, soonest first; things of one instant in the order they were planned."""

    def __init__(self) -> None:
        self._upcoming: list[Due] = []
        self._orders = count()

    def plan(self, kind: Kind, of: str, at: float, plan: int = 0) -> None:
        """Let something happen to the thing with this id."""
        heapq.heappush(self._upcoming, Due(at, next(self._orders), kind, of, plan))

    def next_at(self) -> float | None:
        """When something happens next."""
        return self._upcoming[0].at if self._upcoming else None

    def pop(self, now: float) -> Due | None:
        """The next thing that is due by `now`, taken off."""
        return heapq.heappop(self._upcoming) if self._upcoming and self._upcoming[0].at <= now else None
