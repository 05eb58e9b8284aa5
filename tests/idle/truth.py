"""What really happened, kept apart from the code under test, and what that says of each stop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.spec import Activity
from tests.idle.roles import LIFE_MINUTES, Member

MINUTE = timedelta(minutes=1)
CHECK = timedelta(minutes=5)
WARNED = timedelta(minutes=2)
SLACK = timedelta(seconds=2)
LIFETIME = timedelta(minutes=LIFE_MINUTES)
# The cloud's figures are a minute old and have a point every 15 s: use that began later cannot be seen.
UNSEEN = timedelta(seconds=75)
POINT = timedelta(seconds=15)

Happening = Literal["metrics out", "cloud out", "restart", "outage", "jump"]


@dataclass(frozen=True)
class Spell:
    """A time in which something was out of order."""

    what: Happening
    since: datetime
    until: datetime


@dataclass
class Truth:
    """Of one instance: each heartbeat that its client tried, each minute in which its GPU worked, each pin."""

    member: Member
    beats: list[datetime] = field(default_factory=list[datetime])
    busy: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])
    pins: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])

    def used_at(self, at: datetime, *, seen: datetime | None = None) -> datetime | None:
        """The last use before `at` that its policy looks at; of its GPU only what began by `seen`."""
        signs: list[datetime] = []
        if self.member.activity is not Activity.GPU:
            signs += [beat for beat in self.beats if beat < at]
        if self.member.activity is not Activity.HEARTBEAT:
            signs += [min(until, at) for since, until in self.busy if since <= (seen or at)]
        return max(signs, default=None)

    def is_pinned(self, at: datetime) -> bool:
        return any(since <= at < until - SLACK for since, until in self.pins)

    def uses(self) -> Iterator[datetime]:
        """All that its policy looks at."""
        if self.member.activity is not Activity.GPU:
            yield from self.beats
        if self.member.activity is not Activity.HEARTBEAT:
            yield from (until for _, until in self.busy)


@dataclass
class Findings:
    """Of one role, over all fleets."""

    instances: int = 0
    hours: float = 0.0
    sessions: int = 0
    stops: int = 0
    in_use: int = 0
    left_idle: int = 0
    untold: int = 0
    unseen: int = 0
    latest: timedelta = timedelta(0)
    readings: int = 0
    broken: list[str] = field(default_factory=list[str])

    def breaks(self, promise: str) -> None:
        self.broken.append(promise)


def judge(found: Findings, truth: Truth, events: list[Event], spells: list[Spell], end: datetime) -> None:
    """Each run of the instance, from ready to its end: stopped too early, too late, or untold."""
    for ready, stop in _runs(events):
        ended = stop.at if stop else end
        found.hours += (ended - ready.at).total_seconds() / 3600
        of_life = stop is not None and "lifetime" in (stop.reason or "")
        if stop and stop.actor == "auto-stop":
            found.stops += 1
            _judge_warning(found, truth, events, ready.at, stop)
            if of_life:
                _judge_lifetime(found, truth, ready.at, stop.at, spells)
            else:
                _judge_stop(found, truth, ready.at, stop.at)
        _judge_idling(found, truth, ready.at, ended, spells, stopped=bool(stop) and not of_life)


def _judge_stop(found: Findings, truth: Truth, ready: datetime, at: datetime) -> None:
    member = truth.member
    idle = member.idle_minutes * MINUTE - (POINT if member.activity is not Activity.HEARTBEAT else SLACK)
    used = max(filter(None, (ready, truth.used_at(at, seen=at - UNSEEN))))
    if at - used < idle or truth.is_pinned(at):
        found.in_use += 1
        found.breaks(f"{member.name} ({member.role}) was stopped at {at}, {at - used} after its last use")
    elif (late := truth.used_at(at)) and at - late < idle:
        found.unseen += 1


def _judge_lifetime(found: Findings, truth: Truth, ready: datetime, at: datetime, spells: list[Spell]) -> None:
    due = ready + LIFETIME
    met = [spell for spell in spells if spell.until >= ready and spell.since <= due]
    allowed = max([due + CHECK, *(spell.until + CHECK + WARNED for spell in met)])
    if not due - MINUTE <= at <= allowed:
        found.breaks(f"{truth.member.name} was stopped {at - ready} after ready, not at its lifetime")


def _judge_warning(found: Findings, truth: Truth, events: list[Event], ready: datetime, stop: Event) -> None:
    warnings = [e for e in events if e.type is EventType.AUTO_STOP_WARNING and ready <= e.at <= stop.at]
    notice = min(WARNED, truth.member.idle_minutes * MINUTE / 2) - SLACK
    if not warnings or stop.at - warnings[-1].at < notice:
        found.untold += 1
        found.breaks(f"{truth.member.name} was stopped at {stop.at} and nobody was told in time")
    told = [e.facts["stopsAt"] for e in warnings]
    if len(set(told)) < len(told):
        found.breaks(f"{truth.member.name} was warned twice for one deadline: {told}")


def _judge_idling(
    found: Findings, truth: Truth, ready: datetime, ended: datetime, spells: list[Spell], *, stopped: bool
) -> None:
    """It never ran on idle for longer than its time and one check, as far as that could be known and done."""
    member, idle = truth.member, truth.member.idle_minutes * MINUTE
    signs = sorted({ready, *(at for at in truth.uses() if ready < at < ended)})
    for used, following in pairwise([*signs, ended]):
        due = max([used + idle, *(until for since, until in truth.pins if since < following)])
        allowed = due + CHECK
        met = [spell for spell in spells if spell.until >= used and spell.since <= allowed]
        allowed = max([allowed, *(at for spell in met for at in _allowances(spell, member, idle))])
        if following > allowed:
            found.left_idle += 1
            found.breaks(f"{member.name} ({member.role}) ran on until {following}, idle since {used}")
        elif stopped and following == ended and not met:
            found.latest = max(found.latest, ended - due)


def _allowances(spell: Spell, member: Member, idle: timedelta) -> Iterator[datetime]:
    """It could not be known or done meanwhile. While nobody took heartbeats silence says nothing: its whole time begins
    again.
    """
    yield spell.until + CHECK + WARNED
    if spell.what in {"outage", "jump"} and member.activity is not Activity.GPU:
        yield spell.until + idle + CHECK


def _runs(events: list[Event]) -> Iterator[tuple[Event, Event | None]]:
    """Each run with what ended it; None: it runs still."""
    ready: Event | None = None
    for event in events:
        if event.type is EventType.READY:
            ready = event
        elif event.type in {EventType.STOPPING, EventType.STOPPED, EventType.STARTING} and ready:
            yield ready, event
            ready = None
    if ready:
        yield ready, None
