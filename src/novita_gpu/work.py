"""The work engine: the doorbell and the registered tasks, on docket. A task carries an id, never a decision.

Facts of the engine that this room relies on, held by contract tests: `replace` with `ConcurrencyLimit(1)` on an
argument gives exactly one further run and never two at once; `add` with a key that is known does nothing; one key for
"now" and "later" can lose a ring, so there are two; a killed worker's task comes back within the redelivery time-out.
Arguments are pickled: who may write to this Redis may run code here.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Protocol

import structlog
from docket import ConcurrencyLimit, CurrentExecution, Docket, Execution, Perpetual, Worker
from redis.exceptions import RedisError

from novita_gpu.control.bell import NextLook
from novita_gpu.control.signs import Depth
from novita_gpu.domain.instance import InstanceId
from novita_gpu.figures import Job
from novita_gpu.store.base import Unavailable
from novita_gpu.store.pace import LOCAL, Pace

log = structlog.get_logger()

# Slots. A full worker sleeps, so there are more of them than tasks that wait for the network.
CONCURRENCY = 500
# docket's pool stops at 100 connections by default and then stalls with that many slots.
MAX_CONNECTIONS = 2000
NET: Job = "safety_net"
OTHER_TIMERS = ("trim", "idle_check")
# How long a stop waits for passes under way. Too short: a create is cut off before its answer, and is searched for.
FINISH_WITHIN = timedelta(seconds=15)
# A worker looks whether the queue is still there, after so many of the shortest intervals between listings. Longer, and
# all that was in a queue that was lost is late by that; shorter, and an idle worker asks the store more often.
WATCH_EVERY = 7
WATCH_AT_MOST = timedelta(seconds=15)
# Alarms of one round trip. More would hold up the event loop while they are packed.
AT_ONCE = 200
TRIM_EVERY = timedelta(hours=1)
# For an answer that is still awaited when another server takes over. Longer, and one that hangs holds up the turn.
ANSWERED_WITHIN_S = 1.0
# For all of an end. Past it the server hangs.
END_WITHIN_S = 30.0


def with_connections(url: str) -> str:
    """The store's address with a connection pool that all slots fit in."""
    return f"{url}{'&' if '?' in url else '?'}max_connections={MAX_CONNECTIONS}"


class Worked(Protocol):
    """Is told of every job. `again`: its worker had gone."""

    def __call__(self, job: Job, seconds: float, /, *, failed: bool = False, again: bool = False) -> None: ...


def nobody(job: Job, seconds: float, /, *, failed: bool = False, again: bool = False) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Life:
    """A docket, with or without a worker, in one task that ends once `over` is set. `users` are asking it something."""

    docket: Docket
    over: asyncio.Event
    task: asyncio.Task[None]
    users: set[asyncio.Future[None]] = field(default_factory=set[asyncio.Future[None]])


class Work:
    """The doorbell, and with `running` the worker behind it. Implements `control.bell.Bell`.

    A ring never fails: what it was for is stored before it is given, so one that is lost costs seconds.
    """

    def __init__(self, url: str, name: str, *, moving: timedelta, pace: Pace = LOCAL) -> None:
        self._url, self._name, self._moving, self._pace = url, name, moving, pace
        self._tasks: list[Callable[..., Awaitable[None]]] = []
        self._watch_every = min(WATCH_AT_MOST, WATCH_EVERY * moving)
        self._is_wanted, self._finish_within = False, FINISH_WITHIN
        self._polls: str | None = None
        self._life: Life | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._worked: Worked = nobody

    def register(
        self,
        *,
        reconcile: Callable[[InstanceId], Awaitable[None]],
        sweep: Callable[[bool], Awaitable[NextLook | None]],
        drain: Callable[[], Awaitable[datetime | None]],
        trim: Callable[[], Awaitable[None]],
        safety_net: Callable[[], Awaitable[None]],
        begun: Callable[[], Awaitable[None]],
        idle_check: Callable[[], Awaitable[None]],
        idle_check_every: timedelta,
        worked: Worked = nobody,
    ) -> None:
        """What the bells ring. Registered where rings are only given, too. `begun`: the queue is new, or was lost."""
        self._worked = worked

        async def reconcile_task(
            instance: Annotated[str, ConcurrencyLimit(1)], run: Execution = CurrentExecution()
        ) -> None:
            await self._guarded("reconcile", instance, reconcile(InstanceId(instance)), again=run.redelivered)

        async def drain_task(outbox: Annotated[str, ConcurrencyLimit(1)]) -> None:
            with self._timed("drain"):
                due = await drain()
            if due:
                await self._drain(due, "drain:later")

        async def look_task(of: Annotated[str, ConcurrencyLimit(1)], asked: bool) -> None:
            with self._timed("look"):
                following = await sweep(asked)
            if following:
                await self._look(following.at, asked=following.asked)

        async def safety_net_task(
            new: bool = True, again: Perpetual = Perpetual(every=self._pace.safety_net, automatic=True)
        ) -> None:
            """It is always in the queue, by this from its second run on: one that is `new` tells that it was not."""
            await self._guarded(NET, "all", safety_net())
            if new:
                await self._guarded(NET, "begun", begun())
            again.perpetuate(new=False)

        async def trim_task(again: Perpetual = Perpetual(every=TRIM_EVERY, automatic=True)) -> None:
            with self._timed("trim"):
                await trim()

        async def idle_check_task(again: Perpetual = Perpetual(every=idle_check_every, automatic=True)) -> None:
            await self._guarded("idle_check", "all", idle_check())

        for name, task in {
            "reconcile": reconcile_task,
            "drain": drain_task,
            "look": look_task,
            NET: safety_net_task,
            "trim": trim_task,
            "idle_check": idle_check_task,
        }.items():
            task.__name__ = name
            self._tasks.append(task)
            if self._life:
                self._life.docket.register(task)

    async def ring(self, instance: InstanceId) -> None:
        await self._reconcile(instance, _now(), f"bell:{instance}")

    async def alarm(self, instance: InstanceId, at: datetime) -> None:
        await self._reconcile(instance, at, f"alarm:{instance}")

    async def _reconcile(self, instance: InstanceId, at: datetime, key: str) -> None:
        await self._rung(key, lambda docket: docket.replace("reconcile", at, key)(instance=instance))

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        left = list(times.items())
        while left:
            part, left = left[:AT_ONCE], left[AT_ONCE:]
            await self._rung("alarms", partial(_set_all, part, anew=anew))

    async def look(self, at: datetime) -> None:
        await self._look(at, asked=True)

    async def _look(self, at: datetime, *, asked: bool) -> None:
        """One task a slot of time, however many ask: who asks for a slot that has one adds nothing."""
        span = self._moving.total_seconds()
        slot = int(at.timestamp() / span) + 1
        key, when = f"{'look' if asked else 'due'}:{slot}", datetime.fromtimestamp(slot * span, UTC)
        await self._rung(key, lambda docket: docket.add("look", when=when, key=key)(of="cloud", asked=asked))

    async def outbox(self) -> None:
        await self._drain(_now(), "drain:now")

    async def _drain(self, at: datetime, key: str) -> None:
        await self._rung(key, lambda docket: docket.replace("drain", at, key)(outbox="webhooks"))

    @property
    def answers(self) -> bool:
        """A worker runs here: rings are answered."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    async def depth(self) -> Depth:
        """Two commands. Raises the store's `Unavailable`."""
        try:
            with self._in_use() as docket:
                async with docket.redis() as queue:
                    first = await queue.xrange(docket.stream_key, count=1)
                    due = await queue.zrange(docket.queue_key, 0, 0, withscores=True)
                    size = await queue.xlen(docket.stream_key) if first else 0
        except (RedisError, OSError) as fault:
            raise Unavailable(str(fault)) from fault
        return Depth(
            size=size,
            oldest_at=datetime.fromtimestamp(int(first[0][0].split(b"-")[0]) / 1000, UTC) if first else None,
            due_at=datetime.fromtimestamp(due[0][1], UTC) if due else None,
        )

    @contextmanager
    def _timed(self, job: Job, *, again: bool = False) -> Generator[None]:
        began, failed = time.monotonic(), True
        try:
            yield
            failed = False
        finally:
            self._worked(job, time.monotonic() - began, failed=failed, again=again)

    async def _guarded(self, name: Job, subject: str, call: Awaitable[None], *, again: bool = False) -> None:
        """An edge: a pass that breaks is logged with its trace, and the next ring tries again."""
        try:
            with self._timed(name, again=again):
                await call
        except Exception:
            log.exception("task.broke", task=name, subject=subject)

    @contextmanager
    def _in_use(self) -> Generator[Docket]:
        """The docket of now. It stays open until whoever asks it is done, also when another one has taken its place."""
        life = self._life
        assert life
        done = asyncio.get_running_loop().create_future()
        life.users.add(done)
        try:
            yield life.docket
        finally:
            life.users.discard(done)
            done.set_result(None)

    async def _rung(self, key: str, ring: Callable[[Docket], Awaitable[object]]) -> None:
        """The store may have gone since what it is about was stored; the next listing finds what is due."""
        try:
            with self._in_use() as docket:
                await ring(docket)
        except (RedisError, OSError) as fault:
            log.warning("ring.lost", ring=key, reason=str(fault))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Work"]:
        """Rings can be given."""
        await self._begin()
        try:
            yield self
        finally:
            await self._end(self._life)

    @asynccontextmanager
    async def running(self, finish_within: timedelta = FINISH_WITHIN) -> AsyncGenerator[None]:
        """Rings are answered, until the context ends. What is under way then is finished; what takes too long is cut
        off and handed back, as if its process had died.
        """
        self._is_wanted, self._finish_within = True, finish_within
        await self._begin()
        try:
            yield
        finally:
            self._is_wanted = False
            await self._begin()

    def begins_at(self, url: str) -> None:
        """Where the first life is, if not where it was to be."""
        self._url = url

    def polls(self, url: str | None) -> None:
        """The reads of that server do not block; None: those of all do."""
        self._polls = url

    async def rest(self) -> None:
        """No ring is answered until `turn_to`; what is under way is finished first."""
        await self._begin(answers=False)

    async def turn_to(self, url: str) -> None:
        """Rings go to another server from here on, and are answered from there. Its queue knows nothing of what is due:
        a listing finds that.
        """
        self._url = url
        await self._begin()
        await self.look(_now())

    async def _begin(self, *, answers: bool = True) -> None:
        """Another life in the place of the one before, if there was one."""
        before, over, begun = self._life, asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._live(begun, over, answers=answers and self._is_wanted))
        await asyncio.wait((task, begun), return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            task.result()
        self._life = Life(docket=begun.result(), over=over, task=task)
        await self._end(before)

    async def _end(self, life: "Life | None") -> None:
        """A server that hangs holds it up for a while only."""
        if life is None:
            return
        if life.users:
            await asyncio.wait(life.users, timeout=ANSWERED_WITHIN_S)
        life.over.set()
        _, late = await asyncio.wait((life.task,), timeout=END_WITHIN_S)
        for task in late:
            log.warning("work.ended_by_force")
            task.cancel()
            await asyncio.wait((task,), timeout=END_WITHIN_S)

    async def _live(self, begun: "asyncio.Future[Docket]", over: asyncio.Event, *, answers: bool) -> None:
        """In a task of its own: docket and worker keep marks in the context of the task that they were begun in."""
        async with self._at(self._url) as docket, AsyncExitStack() as stack:
            if self._url == self._polls:
                await _poll(docket, self._pace.read)
            if answers:
                await stack.enter_async_context(self._worker(docket))
            begun.set_result(docket)
            await over.wait()

    def _at(self, url: str) -> Docket:
        docket = Docket(
            name=self._name,
            url=with_connections(url),
            heartbeat_interval=self._pace.presence,
            execution_ttl=timedelta(minutes=1),
        )
        for task in self._tasks:
            docket.register(task)
        return docket

    @asynccontextmanager
    async def _worker(self, docket: Docket) -> AsyncGenerator[None]:
        async with Worker(
            docket,
            concurrency=CONCURRENCY,
            redelivery_timeout=self._pace.abandoned,
            minimum_check_interval=self._pace.read,
            scheduling_resolution=self._pace.schedule,
        ) as worker:
            tasks = self._loops = [asyncio.create_task(each) for each in (worker.run_forever(), self._watch())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=self._finish_within.total_seconds())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Whether the queue still holds what it always does; docket itself looks once a minute."""
        while True:
            await asyncio.sleep(self._watch_every.total_seconds())
            await self._rung(NET, partial(_renewed, lost_after=self._pace.back_within))


async def _renewed(docket: Docket, *, lost_after: timedelta) -> None:
    """A timer that is gone, or overdue by more than its worker's death explains, was lost with all else or alone."""
    if not await _is_lost(docket, NET, lost_after):
        return
    log.warning("queue.lost")
    for timer in (NET, *[name for name in OTHER_TIMERS if await _is_lost(docket, name, lost_after)]):
        await docket.replace(timer, _now(), timer)()


async def _is_lost(docket: Docket, timer: str, lost_after: timedelta) -> bool:
    known = await docket.get_execution(timer)
    return known is None or _now() - known.when > lost_after


async def _set_all(times: Sequence[tuple[InstanceId, datetime]], docket: Docket, *, anew: bool) -> None:
    calls = [docket.call("reconcile", at, f"alarm:{instance}")(instance=instance) for instance, at in times]
    await (docket.replace_many if anew else docket.add_many)(calls)


async def _poll(docket: Docket, every: timedelta) -> None:
    """On a server that does not block docket would read its streams without a pause, and it has no setting for that."""
    async with docket.redis() as queue:
        setattr(queue, "xreadgroup", _pausing(queue.xreadgroup, every))  # noqa: B010 - of this client only
    strikes = docket.strike_list._redis  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if strikes:
        async with strikes.client() as client:
            setattr(client, "xread", _pausing(client.xread, every))  # noqa: B010


def _pausing(read: Callable[..., Awaitable[Any]], every: timedelta) -> Callable[..., Awaitable[Any]]:
    async def paused(*streams: Any, block: int | None = None, **how: Any) -> Any:
        found = await read(*streams, **how)
        if not found and block is not None:
            await asyncio.sleep(every.total_seconds())
        return found

    return paused


def _now() -> datetime:
    return datetime.now(UTC)
