"""The check for idle instances. It only rings those that something is due for; the pass decides.

Each instance has an alarm of its own for the time of its stop. The check is the safety net under these, and the proof
that the timer runs: its last and next time are kept, told in stats and watched by health.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace

from novita_gpu.contract import ErrorView, time_text
from novita_gpu.contract.idle import SAVED_RULE, AutoStopStats, CheckView, Outcome, TotalsView, TriggerView, VerdictRow
from novita_gpu.control.bell import Bell
from novita_gpu.control.costs import saved_by
from novita_gpu.control.explain import idle_view
from novita_gpu.control.listening import Listening
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.idle import Action, IdlePolicy, due_now
from novita_gpu.domain.instance import Record, Wish, status
from novita_gpu.domain.money import usd_of_grains, usd_text
from novita_gpu.domain.value import Value
from novita_gpu.store import Store

log = structlog.get_logger()

FACT = "auto-stop-check"
# Listings and checks are late by this much before anybody is told.
LATE = timedelta(seconds=30)
# How long a check waits for the passes that it rang for.
ANSWER_WITHIN = timedelta(seconds=10)


class LastCheck(Value, frozen=True, kw_only=True):
    """The last check that was no dry run, and when the next is due; with the counts of all of them."""

    at: datetime
    next_at: datetime
    result: CheckView
    checks: int
    errors: int


class Found(Value, frozen=True, kw_only=True):
    """One instance that is meant to run, and what is due for it."""

    record: Record
    heard: Heard
    action: Action | None

    @property
    def is_eligible(self) -> bool:
        return self.action in {"warn", "stop"}


class IdleCheck:
    def __init__(
        self,
        *,
        store: Store,
        bell: Bell,
        listening: Listening,
        policy: IdlePolicy,
        every: timedelta,
        threshold: timedelta,
        now: Callable[[], datetime],
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._store, self._bell, self._listening, self._policy = store, bell, listening, policy
        self._every, self._threshold, self._now, self._answer_within = every, threshold, now, answer_within

    @property
    def on(self) -> bool:
        """Idleness stops anything at all."""
        return self._policy.on

    async def run(self) -> None:
        """The timer's. Raises the store's `Unavailable`."""
        if self.on:
            await self.check(dry_run=False)

    async def check(self, *, dry_run: bool) -> TriggerView:
        """Looks at every instance; without `dry_run` rings for what is due and waits a little for what comes of it."""
        began, at = time.perf_counter(), self._now()
        found = await self._found(at)
        rows = [self._row(one, "due" if one.is_eligible else "none") for one in found]
        if not dry_run:
            rows = list(await asyncio.gather(*(self._rung(one) for one in found)))
        outcomes = [row.outcome for row in rows]
        result = CheckView(
            total_checked=len(rows),
            eligible=sum(one.is_eligible for one in found),
            stopped=outcomes.count("stopping"),
            errors=outcomes.count("failed"),
            dry_run=dry_run,
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        if not dry_run:
            await self._keep(at, result)
        log.info(
            "auto_stop.checked", dry_run=dry_run, checked=len(rows), eligible=result.eligible, stopped=result.stopped
        )
        told = {name: getattr(result, name) for name in CheckView.__struct_fields__}
        return TriggerView(**told, results=tuple(rows), message=_message(result, outcomes.count("warned")))

    async def last(self) -> LastCheck | None:
        return check_of(await self._store.facts.fact(FACT))

    async def stats(self) -> AutoStopStats:
        """Raises the store's `Unavailable`."""
        last, now, records = await self.last(), self._now(), self._store.view.all()
        due = next_check(last, on=self.on)
        return AutoStopStats(
            scheduler_running=due is not None and late_by(due, now) <= LATE,
            check_interval_minutes=self._every.total_seconds() / 60,
            default_inactivity_threshold_minutes=self._threshold.total_seconds() / 60,
            last_check_at=time_text(last.at) if last else None,
            next_check_at=time_text(due) if due else None,
            last_result=last.result if last else None,
            totals=TotalsView(
                checks=last.checks if last else 0,
                stopped=sum(record.saving.stops for record in records),
                errors=last.errors if last else 0,
                saved_usd=usd_text(usd_of_grains(sum(saved_by(record, now) for record in records))),
            ),
            saved_rule=SAVED_RULE,
        )

    async def _found(self, now: datetime) -> list[Found]:
        """Of all that are meant to run, as the store has them now."""
        records = [r for r in self._store.view.all() if _is_watched(r)]
        used = await self._store.records.activities([record.id for record in records])
        since = await self._listening.since()
        heard = {record.id: Heard(last=used.get(record.id), since=since) for record in records}
        return [Found(record=r, heard=heard[r.id], action=due_now(r, heard[r.id], now, self._policy)) for r in records]

    async def _rung(self, one: Found) -> VerdictRow:
        """Ring, and what the passes made of it."""
        if one.action is None:
            return self._row(one, "none")
        await self._bell.ring(one.record.id)
        try:
            async with asyncio.timeout(self._answer_within.total_seconds()):
                after = await self._answered(one)
        except TimeoutError:
            error = ErrorView(code="NOT_ANSWERED", message="No pass decided about it in time; it is rung for again.")
            return self._row(one, "failed", error)
        if after.wants is not Wish.RUNNING:
            outcome: Outcome = "stopping"
        else:
            outcome = "none" if after.run.warned == one.record.run.warned else "warned"
        return self._row(replace(one, record=after), outcome)

    async def _answered(self, one: Found) -> Record:
        """The record once nothing is due for it any more."""
        record = one.record
        while True:
            record = await self._store.view.changed(record.id, record.revision)
            heard = self._store.view.heard(record.id)
            if not _is_watched(record) or due_now(record, heard, self._now(), self._policy) is None:
                return record

    def _row(self, one: Found, outcome: Outcome, error: ErrorView | None = None) -> VerdictRow:
        record = one.record
        told = idle_view(record, one.heard, self._now(), self._policy)
        return VerdictRow(
            instance_id=record.id,
            name=record.name,
            status=status(record),
            verdict=told.verdict,
            rule=told.rule,
            reason=told.reason,
            stops_at=told.stops_at,
            outcome=outcome,
            error=error,
        )

    async def _keep(self, at: datetime, result: CheckView) -> None:
        before = await self.last()
        kept = LastCheck(
            at=at,
            next_at=at + self._every,
            result=result,
            checks=(before.checks if before else 0) + 1,
            errors=(before.errors if before else 0) + result.errors,
        )
        await self._store.facts.put(FACT, msgspec.json.encode(kept).decode())


def _is_watched(record: Record) -> bool:
    return record.wants is Wish.RUNNING and not record.failure and not record.deleted_at


def check_of(stored: str | None) -> LastCheck | None:
    """The fact, read."""
    return msgspec.json.decode(stored, type=LastCheck) if stored else None


def next_check(last: LastCheck | None, *, on: bool) -> datetime | None:
    """When it is due; None: there was none yet, or auto-stop is off and nobody makes it."""
    return last.next_at if last and on else None


def late_by(due: datetime | None, now: datetime) -> timedelta:
    """How long the next check is overdue."""
    return max(timedelta(0), now - due) if due else timedelta(0)


def _message(result: CheckView, warned: int) -> str:
    if result.dry_run:
        return f"{result.eligible} of {result.total_checked} would be warned or stopped now. Nothing was done."
    return f"Of {result.total_checked}, {result.stopped} are being stopped and {warned} were warned."
