"""Tells of circuits that open and close: once for all processes, never for each call, and not in a flutter.

The first process whose circuit opens writes the outage down and tells of it. It tells of the end once its circuit has
been closed for `CALM`; if it dies before, whoever finds its word lapsed does. Event ids are written down first, so that
no race and no crash tells anything twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import Lane
from novita_gpu.cloud.circuit import KINDS, Condition
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.value import Value
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

log = structlog.get_logger()

FACTS = {lane: f"outage:{kind}" for lane, kind in KINDS.items()}
# A circuit that closes and opens again within this was never well: it is one outage.
CALM = timedelta(seconds=30)
# The word of who told of an outage counts for so long, and is renewed at half of it.
LEASE = timedelta(seconds=60)
# Between looks at whether another has told of what is out here.
LOOK_AGAIN = timedelta(seconds=10)
EVERY_S = 1.0


class Outage(Value, frozen=True, kw_only=True):
    """One kind of call is out since `at`. `by` whom it was told of, good until `until`; the ids of its two events."""

    at: datetime
    by: str
    until: datetime
    opened_id: str
    closed_id: str
    fault: str = ""


class Outages:
    """`owner` names this process among all others; `circuits` are as they are now."""

    def __init__(
        self,
        store: Store,
        circuits: Callable[[], Sequence[Condition]],
        *,
        owner: str,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._facts, self._events, self._circuits = store.facts, store.events, circuits
        self._owner, self._now, self._new_id = owner, now, new_id
        self._ours: dict[Lane, Outage] = {}
        self._calm_since: dict[Lane, datetime] = {}
        self._look_at: dict[Lane, datetime] = {}

    async def watch(self) -> None:
        """For ever. Costs the store nothing while all circuits are closed."""
        while True:
            try:
                await self.check()
            except StoreError as fault:
                log.warning("outage.not_told", reason=str(fault))
            except (
                Exception
            ):  # an edge: an outage that is told of never is a bug of ours, and no reason to stop looking
                log.exception("outage.not_told")
            await asyncio.sleep(EVERY_S)

    async def check(self) -> None:
        """Tells what has changed. What the store does not take now is told with the next check."""
        for condition in self._circuits():
            if condition.state == "closed":
                await self._closed(condition.lane)
            else:
                self._calm_since.pop(condition.lane, None)
                await self._out(condition)

    def found(self, stored: Iterable[Outage | None]) -> None:
        """What is written down, by the order of `FACTS`: ends of those whose teller has died are ours to tell."""
        for lane, outage in zip(FACTS, stored, strict=True):
            if outage and outage.until < self._now() and lane not in self._ours:
                self._ours[lane] = outage

    def elsewhere(self, stored: Iterable[Outage | None]) -> list[str]:
        """The kinds of calls of which another process says that they have no answers."""
        now, known = self._now(), zip(KINDS.values(), stored, strict=False)
        return [kind for kind, one in known if one and one.by != self._owner and one.until > now]

    async def _out(self, condition: Condition) -> None:
        lane, now = condition.lane, self._now()
        ours = self._ours.get(lane)
        if ours is None and now >= self._look_at.get(lane, now):
            self._look_at[lane] = now + LOOK_AGAIN
            await self._begin(condition, now)
        elif ours and ours.until - now < LEASE / 2:
            self._ours[lane] = await self._put(lane, replace(ours, by=self._owner, until=now + LEASE))

    async def _begin(self, condition: Condition, now: datetime) -> None:
        """Ours if nobody has told of it."""
        began = now - (condition.out_for or timedelta(0))
        new = Outage(
            at=began,
            by=self._owner,
            until=now + LEASE,
            opened_id=self._new_id("evt"),
            closed_id=self._new_id("evt"),
            fault=condition.fault,
        )
        lane = condition.lane
        known = outage_of(await self._facts.first(FACTS[lane], _text(new))) or new
        if known.by == self._owner or known.until < now:
            await self._tell_opened(lane, known)
            self._ours[lane] = await self._put(lane, replace(known, by=self._owner, until=now + LEASE))

    async def _closed(self, lane: Lane) -> None:
        ours = self._ours.get(lane)
        if ours is None:
            return
        since = self._calm_since.setdefault(lane, self._now())
        if self._now() - since >= CALM:
            await self._tell_closed(lane, ours, since)
            await self._facts.forget(FACTS[lane])
            del self._ours[lane], self._calm_since[lane]

    async def _tell_opened(self, lane: Lane, outage: Outage) -> None:
        kind = KINDS[lane]
        facts = {"kind": kind, "fault": outage.fault}
        reason = f"the cloud does not answer {kind}: {outage.fault}; they are paused"
        await self._append(outage.opened_id, EventType.CIRCUIT_OPENED, outage.at, reason, facts)

    async def _tell_closed(self, lane: Lane, outage: Outage, at: datetime) -> None:
        kind, seconds = KINDS[lane], max(0, round((at - outage.at).total_seconds()))
        facts = {"kind": kind, "seconds": str(seconds)}
        await self._append(
            outage.closed_id, EventType.CIRCUIT_CLOSED, at, f"the cloud answers {kind} again after {seconds} s", facts
        )

    async def _append(self, id_: str, type_: EventType, at: datetime, reason: str, facts: dict[str, str]) -> None:
        event = Event(id=id_, type=type_, at=at, actor="cloud", reason=reason, facts=facts)
        tell(await self._events.append(event))

    async def _put(self, lane: Lane, outage: Outage) -> Outage:
        await self._facts.put(FACTS[lane], _text(outage))
        return outage


def _text(outage: Outage) -> str:
    return msgspec.json.encode(outage).decode()


def outage_of(stored: str | None) -> Outage | None:
    """The fact, read."""
    return msgspec.json.decode(stored, type=Outage) if stored else None
