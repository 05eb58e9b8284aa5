"""What each source of activity says of a run, and the verdict that its policy makes of them.

What cannot be read is `unknown`, and unknown never stops anything.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from novita_gpu.domain.gpu import LATE, GpuReading, is_read, quiet_since
from novita_gpu.domain.instance import Record, Wish
from novita_gpu.domain.spec import Activity
from novita_gpu.domain.value import Value


class State(StrEnum):
    ACTIVE = "active"
    IDLE = "idle"
    UNKNOWN = "unknown"


Source = Literal["heartbeat", "gpu", "pin"]

LOOKED_AT: dict[Activity, tuple[Source, ...]] = {
    Activity.HEARTBEAT: ("heartbeat", "pin"),
    Activity.GPU: ("gpu", "pin"),
    Activity.ANY: ("heartbeat", "gpu", "pin"),
}


class Sign(Value, frozen=True, kw_only=True):
    """What one source says. `at`: its last evidence of use, the begin of what it knows, or a pin's end."""

    source: Source
    state: State
    at: datetime | None
    reason: str


class Heard(Value, frozen=True, kw_only=True):
    """What is known of heartbeats: the last one, and since when they could arrive without a gap of ours.

    Silence counts only while somebody listened.
    """

    last: datetime | None = None
    since: datetime | None = None

    def used_at(self, ready: datetime) -> datetime:
        """From when silence counts: never from the run before."""
        return max(at for at in (ready, self.last, self.since) if at)


def signs(record: Record, heard: Heard, now: datetime) -> tuple[Sign, ...]:
    """What each source says now, those that its policy does not look at too. Nothing of what is not meant to run, or
    not ready.
    """
    ready = record.run.ready_at
    if ready is None or record.wants is not Wish.RUNNING or record.failure:
        return ()
    return _heartbeat(record, heard, ready, now), _gpu(record, ready, now), _pin(record, now)


def verdict(record: Record, heard: Heard, now: datetime) -> State:
    """Active if any source that its policy looks at is, idle only if all are, else unknown."""
    looked_at = LOOKED_AT[record.auto_stop.activity]
    states = {sign.state for sign in signs(record, heard, now) if sign.source in looked_at}
    if State.ACTIVE in states:
        return State.ACTIVE
    return State.IDLE if states == {State.IDLE} else State.UNKNOWN


def _heartbeat(record: Record, heard: Heard, ready: datetime, now: datetime) -> Sign:
    """None at all since it became ready is idle: who chose this source has promised to send some."""
    at = heard.used_at(ready)
    state = State.ACTIVE if now < at + record.auto_stop.idle else State.IDLE
    if at == heard.last:
        reason = "last heartbeat"
    elif at == ready:
        reason = "none since it became ready"
    else:
        reason = "none since this service takes heartbeats again; those before may be lost"
    return Sign(source="heartbeat", state=state, at=at, reason=reason)


def _gpu(record: Record, ready: datetime, now: datetime) -> Sign:
    reading, idle = record.run.gpu, record.auto_stop.idle
    busy_at = reading.busy_at if reading else None
    since = quiet_since(reading, ready)
    if busy_at and now < busy_at + idle:
        state, at, reason = State.ACTIVE, busy_at, "last use of its GPU"
    elif now < ready + idle:
        state, at, reason = State.ACTIVE, ready, "it became ready not long ago"
    elif not is_read(reading, now):
        state, at, reason = State.UNKNOWN, busy_at, _unread(reading)
    elif now < since + idle:
        state, at, reason = State.UNKNOWN, since, "its use before then could not be read"
    else:
        state, at, reason = State.IDLE, since, "no use of its GPU since then"
    return Sign(source="gpu", state=state, at=at, reason=reason)


def _unread(reading: GpuReading | None) -> str:
    if reading is None:
        return "not read yet: it is read near the limit"
    if reading.fault:
        return f"its use could not be read: {reading.fault}"
    if reading.quiet_to is None:
        return "the cloud has no figures of it"
    return f"nothing newer than {LATE.total_seconds() / 60:g} minutes is known of its use"


def _pin(record: Record, now: datetime) -> Sign:
    until = record.auto_stop.pinned_until
    if until is None:
        return Sign(source="pin", state=State.IDLE, at=None, reason="no pin")
    holds = now < until
    reason = "kept until then" if holds else "the pin is over"
    return Sign(source="pin", state=State.ACTIVE if holds else State.IDLE, at=until, reason=reason)
