"""The shortest schedule that still breaks a promise: what can be left out is left out."""

from collections.abc import Awaitable, Callable, Iterator

from msgspec.structs import replace

from tests.prove.schedule import Schedule


async def shrink(schedule: Schedule, breaks: Callable[[Schedule], Awaitable[bool]]) -> Schedule:
    """A schedule that breaks, of which nothing more can be left out."""
    while True:
        for smaller in _smaller(schedule):
            if await breaks(smaller):
                schedule = smaller
                break
        else:
            return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    for field in ("hazards", "outside", "parted", "wishes"):
        parts = getattr(schedule, field)
        for number in range(len(parts)):
            yield replace(schedule, **{field: (*parts[:number], *parts[number + 1 :])})
    if schedule.order:
        yield replace(schedule, order=0)
    if schedule.replicas > 1:
        yield replace(schedule, replicas=1)
