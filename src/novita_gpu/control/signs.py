"""What health is judged by: facts read in the background, and those that this process knows anyway."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from novita_gpu.cloud.circuit import Condition
from novita_gpu.control.caches import FACT as CLEARED
from novita_gpu.control.idle_check import FACT as CHECK
from novita_gpu.control.idle_check import LastCheck, check_of
from novita_gpu.control.launch import HELD_FACT
from novita_gpu.control.ledger import ORPHANS, known_of
from novita_gpu.control.outages import FACTS as OUTAGES
from novita_gpu.control.outages import Outage, outage_of
from novita_gpu.control.sync_log import FACT as SYNC
from novita_gpu.control.sync_log import LOCK, SyncState, state_of
from novita_gpu.domain.look import SweepMark
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.pace import LOCAL

WORKER = "worker"
# More often, and an idle replica asks more of its store than it may.
SELDOM = 3
NAMES = (HELD_FACT, SYNC, CHECK, ORPHANS, WORKER, CLEARED, *OUTAGES.values())


class Depth(Value, frozen=True, kw_only=True):
    """The work queue: since when the longest waiting task is in hand or waits for a hand, and since when the first of
    those for later is due; None where there is none.
    """

    size: int = 0  # due, or in hand
    oldest_at: datetime | None = None
    due_at: datetime | None = None


class Waiting(Value, frozen=True, kw_only=True):
    """What waited at `at`: work, and the first delivery that any receiver waits for."""

    at: datetime
    queue: Depth = Depth()
    delivery_due: datetime | None = None


class Worker(Value, frozen=True, kw_only=True):
    """That a worker was there. The last one who said so."""

    at: datetime
    by: str


class Signs(Value, frozen=True, kw_only=True):
    """What the last round of checks found."""

    at: datetime
    store: str | None = None  # why it is down
    store_ms: float = 0
    mark: SweepMark | None = None
    held: str | None = None  # why the cloud sells us nothing
    orphans: int = 0
    last_check: LastCheck | None = None
    sync: SyncState | None = None
    holder: str | None = None  # of the lock of the comparison with the cloud
    worker: Worker | None = None
    outages: tuple[Outage | None, ...] = ()
    cleared: str | None = None  # which caches were cleared, and when
    waiting: Waiting


class Upstream(Protocol):
    """The cloud client's own view of the cloud."""

    @property
    def circuit(self) -> Literal["closed", "open", "half-open"]: ...

    @property
    def circuits(self) -> tuple[Condition, ...]: ...

    @property
    def retry_after(self) -> timedelta | None: ...

    @property
    def skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the cloud's; None while nobody knows."""
        ...


class Calls(Protocol):
    """What the cloud's calls of this process came to."""

    @property
    def last_answer_at(self) -> datetime | None: ...

    @property
    def unanswered_at(self) -> datetime | None: ...

    @property
    def unanswered(self) -> str:
        """What the last call without an answer was."""
        ...

    @property
    def last_seconds(self) -> float: ...


class Queue(Protocol):
    """The work engine, as health sees it."""

    @property
    def answers(self) -> bool:
        """A worker runs in this process."""
        ...

    async def depth(self) -> Depth: ...


class Away(Protocol):
    """Which of two servers the store is on, since when, and why."""

    @property
    def mode(self) -> Literal["redis", "fallback"]: ...

    @property
    def since(self) -> datetime: ...

    @property
    def reason(self) -> str: ...


class Place(Protocol):
    """Where the store is."""

    @property
    def is_shared(self) -> bool: ...

    @property
    def fallback(self) -> Away | None: ...


class Reading:
    """Reads the signs, in few commands: a server may be paid for by the command. `owner` names this process.

    It is asked to read `every` so often, and looks at what waits in one of `SELDOM` times, and when this process began
    or ceased to work.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        owner: str,
        now: Callable[[], datetime],
        every: timedelta = LOCAL.health,
    ) -> None:
        self._store, self._queue, self._owner, self._now = store, queue, owner, now
        self._seldom = every * (SELDOM - 0.5)  # a check that comes a little early is in time
        self._waiting: Waiting | None = None
        self._worked = False

    async def read(self) -> Signs:
        """Raises the store's errors."""
        waiting, works = self._waiting, self._queue.answers
        if waiting is None or works is not self._worked or self._now() - waiting.at >= self._seldom:
            waiting = await self._look_at_what_waits(works)
            self._waiting, self._worked = waiting, works
        found, holder = await self._store.facts.glance(NAMES, LOCK)
        known: Mapping[str, str | None] = dict(zip(NAMES, found, strict=True))
        return Signs(
            at=self._now(),
            mark=await self._store.looks.mark(),
            held=known[HELD_FACT],
            orphans=sum(not one.lookalike for one in known_of(known[ORPHANS])),
            last_check=check_of(known[CHECK]),
            sync=state_of(known[SYNC]),
            holder=holder,
            worker=msgspec.json.decode(stored, type=Worker) if (stored := known[WORKER]) else None,
            outages=tuple(outage_of(known[name]) for name in OUTAGES.values()),
            cleared=known[CLEARED],
            waiting=waiting,
        )

    async def _look_at_what_waits(self, works: bool) -> Waiting:
        """Where a worker runs it is said so, so that it is found by whoever asks."""
        if works:
            word = Worker(at=self._now(), by=self._owner)
            await self._store.facts.put(WORKER, msgspec.json.encode(word).decode())
        queue = await self._queue.depth()
        return Waiting(at=self._now(), queue=queue, delivery_due=await self._store.deliveries.next_due_at())
