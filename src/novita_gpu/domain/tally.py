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
RECLAIMS, LOST, READY = "reclaims", "lost", "ready"


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
    _add_ready(counts, before, after)
    return counts


def _add_ready(counts: dict[str, int], before: Record | None, after: Record) -> None:
    """The first answer of a run that began with a launch or a start."""
    ready_at, offer = after.run.ready_at, after.offer
    if before is None or ready_at is None or offer is None or before.run.ready_at == ready_at:
        return
    place = f"{READY}|{_label(offer.product_id)}|{_label(offer.region)}"
    _add_within(counts, place, round((ready_at - after.run.asked_at).total_seconds()))


def _label(text: str) -> str:
    return text.replace("|", "_").replace(" ", "_")


def _add(counts: dict[str, int], what: str, by: int) -> None:
    counts[what] = counts.get(what, 0) + by


def _add_lost(counts: dict[str, int], by: str, seconds: int) -> None:
    _add_within(counts, f"{LOST}|{by}", seconds)


def _add_within(counts: dict[str, int], what: str, seconds: int) -> None:
    bound = next((str(bound) for bound in BOUNDS if seconds <= bound), "inf")
    _add(counts, f"{what}|{bound}", 1)
    _add(counts, f"{what}|sum", seconds)


class Lost(Value, frozen=True, kw_only=True):
    """How long instances were lost that came back in one way: how many within each bound, all, and seconds in sum."""

    by: str
    within: tuple[tuple[str, int], ...]
    seconds: int


def lost(totals: Mapping[str, int]) -> tuple[Lost, ...]:
    """A cumulative histogram for each way."""
    return tuple(_lost(totals, by) for by in WAYS)


def _lost(totals: Mapping[str, int], by: str) -> Lost:
    return Lost(by=by, within=_within(totals, f"{LOST}|{by}"), seconds=totals.get(f"{LOST}|{by}|sum", 0))


def _within(totals: Mapping[str, int], what: str) -> tuple[tuple[str, int], ...]:
    bounds = (*map(str, BOUNDS), "inf")
    upto = accumulate(totals.get(f"{what}|{bound}", 0) for bound in bounds)
    return tuple(zip(bounds, upto, strict=True))


class Launched(Value, frozen=True, kw_only=True):
    """How long runs of one product took in one region until they answered: as `Lost`."""

    product: str
    region: str
    within: tuple[tuple[str, int], ...]
    seconds: int


def launched(totals: Mapping[str, int]) -> tuple[Launched, ...]:
    """A cumulative histogram for each product and region that had any."""
    places = sorted({tuple(name.split("|")[1:3]) for name in totals if name.startswith(f"{READY}|")})
    return tuple(
        Launched(
            product=product,
            region=region,
            within=_within(totals, f"{READY}|{product}|{region}"),
            seconds=totals.get(f"{READY}|{product}|{region}|sum", 0),
        )
        for product, region in places
    )
