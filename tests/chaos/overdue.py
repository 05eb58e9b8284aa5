"""For how long passes that are due are not made, seen from outside: in the store itself."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from novita_gpu.domain.instance import InstanceId, Record, status
from novita_gpu.placement import utc_now
from novita_gpu.store import Store
from novita_gpu.store.base import Unavailable

LOOK_EVERY_S = 0.25
# Later than what a pass takes: from here on it matters who has it in hand.
LATE_S = 3.0
GROUP = "docket-workers"
# What is in hand: the key of each task, and the worker that has it.
IN_HAND = """
local found = {}
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000)) do
  local message = redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1]
  for i = 1, message and #message[2] or 0, 2 do
    if message[2][i] == 'key' then found[#found + 1] = message[2][i + 1] .. ' ' .. pending[2] end
  end
end
return found
"""


@dataclass
class Overdue:
    """Each pass sets anew when the next is due, so what has been due for long has had none for so long.

    `longest_s` counts from when it was due, `lost_s` from the last kill of a process that had it in hand. `killed` says
    when, by process id. `seen`: how many instances were in each status, summed over all looks.
    """

    store: Store
    killed: dict[int, datetime]
    longest_s: float = 0.0
    lost_s: float = 0.0
    late: dict[tuple[InstanceId, datetime], float] = field(default_factory=dict[tuple[InstanceId, datetime], float])
    since: dict[tuple[InstanceId, datetime], datetime] = field(
        default_factory=dict[tuple[InstanceId, datetime], datetime]
    )
    seen: Counter[str] = field(default_factory=Counter[str])
    looks: int = 0
    story: list[str] = field(default_factory=list[str])

    async def watch(self) -> None:
        """For ever."""
        while True:
            with suppress(Unavailable):
                await self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    def above(self, seconds: float) -> int:
        """Passes that were later than that."""
        return sum(late > seconds for late in self.late.values())

    def phases(self) -> str:
        """How many instances were in each status at a time, on average."""
        return ", ".join(f"{many / self.looks:.1f} {name}" for name, many in self.seen.most_common())

    async def _look(self) -> None:
        records = await self.store.records.load_many(await self.store.records.living())
        now = utc_now()
        self.looks += 1
        self.seen.update(status(record) for record in records)
        due = [(record, record.due) for record in records if record.due and record.due < now]
        in_hand = await self._in_hand() if any((now - at).total_seconds() > LATE_S for _, at in due) else {}
        for record, at in due:
            self._note(record, at, now, in_hand.get(record.id, ()))

    def _note(self, record: Record, due: datetime, now: datetime, workers: Sequence[str]) -> None:
        late = (now - due).total_seconds()
        deaths = [self.killed[pid] for pid in map(_pid, workers) if pid in self.killed]
        since = self.since[record.id, due] = max((self.since.get((record.id, due), due), *deaths))
        self.late[record.id, due] = late
        self.longest_s, self.lost_s = max(self.longest_s, late), max(self.lost_s, (now - since).total_seconds())
        if late > LATE_S:
            what = f"{record.name} {record.id} {status(record)} r{record.revision}"
            self.story.append(f"{now:%H:%M:%S.%f} {what}: late {late:.1f} s, in hand of {workers}, since {since:%X.%f}")

    async def _in_hand(self) -> dict[InstanceId, list[str]]:
        found: defaultdict[InstanceId, list[str]] = defaultdict(list)
        words = (IN_HAND, 1, f"{self.store.keys.work}:stream", GROUP)
        for line in cast("list[bytes]", await self.store.wire.ask("EVAL", *words)):
            key, worker = line.decode().split(" ", 1)
            found[InstanceId(key.rpartition(":")[2])].append(worker)  # a pass, or what wakes it
        return found


def _pid(worker: str) -> int:
    return int(worker.rpartition("#")[2])
