"""What each part of the service is like, and why: from facts to a verdict, one function for each part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.cloud.circuit import KINDS, Condition
from novita_gpu.contract.health import Verdict
from novita_gpu.control.idle_check import LATE, late_by
from novita_gpu.control.signs import Away, Signs
from novita_gpu.domain.value import Value

# A call without an answer is spoken of for so long, if none was answered since.
UNANSWERED_FOR = timedelta(minutes=1)
# Deliveries are late by this before anybody is told: a slow receiver takes four at a time.
DELIVERIES_LATE = timedelta(minutes=5)
# Prices, limits and time-outs are right within this; a machine that keeps time is right within a second.
SKEW = timedelta(seconds=10)
# Of what bills in vain so many are named.
NAMED = 5
_ORDER: Sequence[Verdict] = ("disabled", "up", "degraded", "down")


class Finding(Value, frozen=True, kw_only=True):
    """The verdict on one part, its reason where it is not well, when that was last seen, how long its answer took."""

    status: Verdict = "up"
    why: str | None = None
    at: datetime | None = None
    ms: float | None = None


WELL = Finding()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is read in the background, and beside it what this process knows now."""

    now: datetime
    began: datetime
    signs: Signs
    fault: str | None  # why the store is down
    away: Away | None
    circuits: Sequence[Condition]
    elsewhere: Sequence[str]  # kinds of calls that have no answers in another process
    answered_at: datetime | None
    unanswered_at: datetime | None
    unanswered: str
    answer_ms: float | None
    skew: timedelta | None
    auto_stop_on: bool
    in_vain: Sequence[str]  # names of what bills on though it is asked to stop again and again
    worker_late: timedelta  # after so long without a sign of a worker there is none
    stale: str  # why what is remembered of the cloud is old
    view_lag: timedelta


def cloud(it: Facts) -> Finding:
    at, ms = it.answered_at, it.answer_ms
    if out := [one for one in it.circuits if one.state != "closed"]:
        is_down = any(KINDS[one.lane] == "reads" for one in out)
        return Finding(status="down" if is_down else "degraded", why="; ".join(map(_paused, out)), at=at, ms=ms)
    why = _cloud_is_poor(it)
    return Finding(status="degraded" if why else "up", why=why, at=at, ms=ms)


def _paused(one: Condition) -> str:
    after = "now" if one.retry_after is None else f"in {one.retry_after.total_seconds():.0f} s"
    out_for = one.out_for.total_seconds() if one.out_for else 0
    return f"{KINDS[one.lane]} are paused for {out_for:.0f} s ({one.fault}), the next is tried {after}"


def _cloud_is_poor(it: Facts) -> str | None:
    if it.signs.held:
        return f"creates are held: {it.signs.held}"
    since = it.unanswered_at
    if since and it.now - since < UNANSWERED_FOR and (it.answered_at is None or it.answered_at < since):
        return f"the last call told nothing: {it.unanswered}"
    if it.elsewhere:
        return f"another process gets no answer to its {', '.join(it.elsewhere)}"
    if it.fault:
        return None
    if it.signs.mark is None:
        return _soon(it, "no listing yet").why
    return it.signs.mark.fault or None


def store(it: Facts) -> Finding:
    at, ms = it.signs.at, it.signs.store_ms
    if it.fault:
        return Finding(status="down", why=it.fault, at=at, ms=ms)
    if it.away:
        return Finding(status="degraded", why=f"{it.away.reason}; a private one goes on", at=at, ms=ms)
    if it.view_lag > LATE:
        why = f"what is in memory is {it.view_lag.total_seconds():.0f} s behind the store"
        return Finding(status="degraded", why=why, at=at, ms=ms)
    return Finding(at=at, ms=ms)


def queue(it: Facts) -> Finding:
    if it.fault:
        return Finding(status="down")
    at, depth = it.signs.waiting.at, it.signs.waiting.queue
    for since, what in ((depth.due_at, "is due"), (depth.oldest_at, "is in hand or waits for a hand")):
        if since and at - since > LATE:
            return Finding(status="degraded", why=f"work {what} for {(at - since).total_seconds():.0f} s", at=at)
    return Finding(at=at)


def workers(it: Facts) -> Finding:
    if it.fault:
        return Finding(status="down")
    last = it.signs.worker
    seen = last.at if last else it.began
    if it.now - seen <= it.worker_late:
        return Finding(at=last.at if last else None)
    said = f"the last word of one is {(it.now - seen).total_seconds():.0f} s old" if last else "none has said a word"
    return Finding(status="down", why=f"no worker runs: {said}", at=last.at if last else None)


def sweep(it: Facts) -> Finding:
    if it.fault:
        return Finding(status="down")
    mark = it.signs.mark
    if mark is None:
        return _soon(it, "no listing yet")
    late = it.now - mark.next_at
    why = f"the listing of the cloud is {late.total_seconds():.0f} s late" if late > LATE else None
    return Finding(status="degraded" if why else "up", why=why, at=mark.ended_at)


def sync(it: Facts) -> Finding:
    """It is made with a listing, so it may be late by one interval of these."""
    if it.fault:
        return Finding(status="down")
    state = it.signs.sync
    if state is None:
        return _soon(it, "no sync yet")
    interval = timedelta(seconds=it.signs.mark.interval_s if it.signs.mark else 0)
    why = state.errors[0].message if state.errors else None
    if not why and it.now > state.next_at + interval + LATE:
        why = "the sync is late"
    return Finding(status="degraded" if why else "up", why=why, at=state.tried_at)


def auto_stop(it: Facts) -> Finding:
    """The timer is alive, and what it stops comes to a stop."""
    if it.fault:
        return Finding(status="down")
    last = it.signs.last_check
    at = last.at if last else None
    if it.in_vain:
        names = ", ".join(sorted(it.in_vain)[:NAMED])
        why = f"{len(it.in_vain)} bill on though they are asked to stop again and again: {names}"
        return Finding(status="degraded", why=why, at=at)
    if not it.auto_stop_on:
        return Finding(status="disabled", at=at)
    if last is None:
        return _soon(it, "no check yet")
    late = late_by(last.next_at, it.now)
    why = f"the check is {late.total_seconds():.0f} s late" if late > LATE else None
    return Finding(status="degraded" if why else "up", why=why, at=at)


def webhooks(it: Facts) -> Finding:
    if it.fault:
        return Finding(status="down")
    at, due = it.signs.waiting.at, it.signs.waiting.delivery_due
    late = at - due if due else timedelta(0)
    why = f"deliveries wait for {late.total_seconds():.0f} s" if late > DELIVERIES_LATE else None
    return Finding(status="degraded" if why else "up", why=why, at=at)


def clock(it: Facts) -> Finding:
    if it.skew is None or abs(it.skew) <= SKEW:
        return Finding(at=it.answered_at)
    way = "ahead of" if it.skew > timedelta(0) else "behind"
    why = f"the clock of this machine is {abs(it.skew).total_seconds():.0f} s {way} the cloud's"
    return Finding(status="degraded", why=why, at=it.answered_at)


def cache(it: Facts) -> Finding:
    """What is remembered is as old as it may be, or older since the cloud is out."""
    why = f"the catalogue is old: {it.stale}" if it.stale else None
    return Finding(status="degraded" if why else "up", why=why, at=it.now)


def _soon(it: Facts, why: str) -> Finding:
    """What a new process is given time for."""
    return Finding(status="degraded", why=why) if it.now - it.began > LATE else WELL


# By the names under which health tells of them.
CHECKS: Mapping[str, Callable[[Facts], Finding]] = {
    "novitaApi": cloud,
    "store": store,
    "queue": queue,
    "workers": workers,
    "sweep": sweep,
    "sync": sync,
    "autoStop": auto_stop,
    "webhooks": webhooks,
    "clock": clock,
    "cache": cache,
}


def judged(it: Facts) -> dict[str, Finding]:
    """What was never seen was looked for with the other signs."""
    found = {name: check(it) for name, check in CHECKS.items()}
    return {name: one if one.at else replace(one, at=it.signs.at) for name, one in found.items()}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=_ORDER.index)
