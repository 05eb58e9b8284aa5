"""Rings for many at once: spread over time, so that a start with thousands of records is no stampede."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from novita_gpu.control.bell import Bell
from novita_gpu.domain.instance import Record
from novita_gpu.domain.turns import turns

# So many are rung at once. More, and a listing that tells of many makes the service slow to answer; fewer, and what a
# few people asked for waits for its turn.
AT_ONCE = 100


async def woken(bell: Bell, records: Sequence[Record], now: datetime) -> None:
    """A pass over each: at once while they are few, else each at its turn, or when it is due if that is sooner."""
    if len(records) <= AT_ONCE:
        for record in records:
            await bell.ring(record.id)
        return
    at = turns([record.id for record in records], now)
    due = {record.id: record.due for record in records if record.due and record.due > now}
    await bell.alarms({one: min(turn, due.get(one, turn)) for one, turn in at.items()}, anew=True)


async def alarms_kept(bell: Bell, records: Iterable[Record], now: datetime) -> None:
    """The alarm of each for which something falls due later, where it was lost. The record has the time."""
    due = {record.id: record.due for record in records if record.due and record.due > now}
    if due:
        await bell.alarms(due, anew=False)
