"""What readings of GPU use tell: when it was last busy, and since when without a hole it was not."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.value import Value

# The cloud has a point every 15 s; a longer hole than this hides what happened in it.
GAP = timedelta(seconds=90)
# The cloud's figures are about a minute old (documented), and are read every two minutes at most.
LATE = timedelta(minutes=4)
# Percent of utilisation that counts as use. Lower, and a desktop's noise keeps a machine for ever.
BUSY_PERCENT = 5.0
# Percent points by which GPU memory moves when something is loaded or freed. Memory that is merely held is no use: an
# idle server holds its model.
MEMORY_STEP = 5.0


class Point(Value, frozen=True, kw_only=True):
    """Percent, of the busiest GPU. None: that figure has no such point."""

    at: datetime
    busy: float | None = None
    memory: float | None = None


class GpuReading(Value, frozen=True, kw_only=True):
    """What is known of this run's GPU use.

    `quiet_from`..`quiet_to`: the last stretch without a hole in which it was not used. `fault`: why the last reading
    told nothing.
    """

    read_at: datetime
    busy_at: datetime | None = None
    quiet_from: datetime | None = None
    quiet_to: datetime | None = None
    memory: float | None = None
    fault: str = ""


def with_points(known: GpuReading | None, points: Iterable[Point], at: datetime) -> GpuReading:
    """The reading with what was read at that time. A point without utilisation says nothing and leaves a hole."""
    reading = known or GpuReading(read_at=at)
    busy_at, first, last, memory = reading.busy_at, reading.quiet_from, reading.quiet_to, reading.memory
    for point in sorted(points, key=lambda point: point.at):
        if point.busy is None or (last and point.at <= last):
            continue
        if last is None or point.at - last > GAP:
            first, memory = point.at, None
        moved = memory is not None and point.memory is not None and abs(point.memory - memory) >= MEMORY_STEP
        if moved or point.busy >= BUSY_PERCENT:
            busy_at = first = point.at
        last = point.at
        memory = memory if point.memory is None else point.memory
    return GpuReading(read_at=at, busy_at=busy_at, quiet_from=first, quiet_to=last, memory=memory)


def unread(known: GpuReading | None, at: datetime, fault: str) -> GpuReading:
    """The reading after one that told nothing."""
    return replace(known or GpuReading(read_at=at), read_at=at, fault=fault)


def is_read(reading: GpuReading | None, now: datetime) -> bool:
    """What is known reaches up to now, as far as that can be."""
    if reading is None or reading.fault or reading.quiet_to is None:
        return False
    return reading.quiet_to >= now - LATE


def quiet_since(reading: GpuReading | None, ready: datetime) -> datetime:
    """Since when it is known not to be used. Before the first reading, and where figures begin with the run: ready."""
    if reading is None or reading.quiet_from is None:
        return ready
    begins_with_run = reading.busy_at is None and reading.quiet_from <= ready + GAP
    return ready if begins_with_run else max(ready, reading.quiet_from)
