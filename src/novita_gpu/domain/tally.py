"""What is counted of a change, and how the totals are read again.

Names are without blanks: `<what>`, or `<what>|<label>`.
"""

from collections.abc import Iterable, Mapping
from itertools import accumulate

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Record
from novita_gpu.domain.value import Value

# Upper bounds, in seconds, of how long an instance was lost. A migration takes some ten, a launch limit is 1800.
BOUNDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 14_400)
WAYS = ("migrate", "recreate")
RECLAIMS, LOST = "reclaims", "lost"


def event_count(type_: EventType) -> str:
    """The name under which events of a type are counted."""
    return f"event|{type_}"


def counted(before: Record | None, after: Record, events: Iterable[Event]) -> dict[str, int]:
    """What the change adds to the totals."""
    counts: dict[str, int] = {}
    for event in events:
        _add(counts, event_count(event.type), 1)
        if event.type is EventType.RECOVERED:
            _add_lost(counts, event.facts["by"], int(event.facts["secondsLost"]))
    if after.recovering and not (before and before.recovering):
        _add(counts, RECLAIMS, 1)
    return counts


def _add(counts: dict[str, int], what: str, by: int) -> None:
    counts[what] = counts.get(what, 0) + by


def _add_lost(counts: dict[str, int], by: str, seconds: int) -> None:
    bound = next((str(bound) for bound in BOUNDS if seconds <= bound), "inf")
    _add(counts, f"{LOST}|{by}|{bound}", 1)
    _add(counts, f"{LOST}|{by}|sum", seconds)


class Lost(Value, frozen=True, kw_only=True):
    """How long instances were lost that came back in one way: how many within each bound, all, and seconds in sum."""

    by: str
    within: tuple[tuple[str, int], ...]
    seconds: int


def lost(totals: Mapping[str, int]) -> tuple[Lost, ...]:
    """A cumulative histogram for each way."""
    return tuple(_lost(totals, by) for by in WAYS)


def _lost(totals: Mapping[str, int], by: str) -> Lost:
    bounds = (*map(str, BOUNDS), "inf")
    upto = accumulate(totals.get(f"{LOST}|{by}|{bound}", 0) for bound in bounds)
    return Lost(by=by, within=tuple(zip(bounds, upto, strict=True)), seconds=totals.get(f"{LOST}|{by}|sum", 0))
