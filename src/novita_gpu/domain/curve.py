"""How many instances ran and what they cost an hour, at each of some moments: read off their bills."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from novita_gpu.domain.bill import Bill, Rate
from novita_gpu.domain.value import Value


class Level(Value, frozen=True, kw_only=True):
    """`rate` as in bills. An instance runs while its compute is billed."""

    at: datetime
    running: int
    rate: int


def levels(bills: Iterable[Bill], moments: Sequence[datetime]) -> list[Level]:
    """At each of the moments, which are in order. What bills folded into a sum are not told apart any more."""
    steps = sorted(step for bill in bills for step in _steps(bill))
    found: list[Level] = []
    place = running = rate = 0
    for moment in moments:
        while place < len(steps) and steps[place][0] <= moment:
            _, begun, more = steps[place]
            running, rate, place = running + begun, rate + more, place + 1
        found.append(Level(at=moment, running=running, rate=rate))
    return found


def _steps(bill: Bill) -> Iterator[tuple[datetime, int, int]]:
    """When it changed, by how many running ones and by what rate."""
    for charge in bill.charges:
        runs = _runs(charge.rate)
        yield charge.since, runs, charge.rate.total
        yield charge.until, -runs, -charge.rate.total
    if bill.since:
        yield bill.since, _runs(bill.rate), bill.rate.total


def _runs(rate: Rate) -> int:
    return 1 if rate.compute else 0
