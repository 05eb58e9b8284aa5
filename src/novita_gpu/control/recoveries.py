"""Recovery of machines that were taken, as people see it. It decides nothing: it tells, and rings."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from novita_gpu.cloud.base import Cloud, Job
from novita_gpu.contract import time_text
from novita_gpu.contract.recovery import (
    FailedMigration,
    FailedReport,
    RecoveredView,
    RecoveringView,
    RecoveryReport,
    RecoveryStatus,
    Stage,
)
from novita_gpu.control.bell import Bell
from novita_gpu.control.inspection import MIGRATIONS
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import EXITED_STATUS, Record, Wish, status
from novita_gpu.domain.recovery import RecoveryPolicy, eligible_at, is_meant_as_spot, of_the_day
from novita_gpu.domain.spec import Recovery
from novita_gpu.store import Store

SINCE = timedelta(days=1)
FAILED = frozenset({"fail", "break"})
TOLD = 20
MOST_EVENTS = 10_000


class Recoveries:
    """`look` asks for a listing of the cloud soon."""

    def __init__(
        self,
        *,
        store: Store,
        cloud: Cloud,
        bell: Bell,
        look: Callable[[], Awaitable[None]],
        policy: RecoveryPolicy,
        default: Recovery,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._cloud, self._bell, self._look = store, cloud, bell, look
        self._policy, self._default, self._now = policy, default, now

    async def status(self) -> RecoveryStatus:
        """Raises the store's `Unavailable`."""
        records = self._store.view.all()
        came_back = await self._store.events.read(0, MOST_EVENTS, EventType.RECOVERED)
        return RecoveryStatus(
            on_reclaim=self._default.on_reclaim,
            max_per_day=self._default.max_per_day,
            min_interval_minutes=self._policy.pause.total_seconds() / 60,
            spot_instances=sum(map(is_meant_as_spot, records)),
            recovering=self._rows(records),
            last=tuple(
                RecoveredView(
                    instance_id=event.instance_id or "",
                    at=time_text(event.at),
                    seconds_lost=int(event.facts["secondsLost"]),
                    by=event.facts["by"],
                    region=event.facts["region"],
                )
                for event in reversed(came_back[-TOLD:])
            ),
        )

    async def trigger(self, *, dry_run: bool) -> RecoveryReport:
        """Rings for everything that is being brought back, and has the cloud looked at."""
        rows = self._rows(self._store.view.all())
        if not dry_run:
            for row in rows:
                record = self._store.view.resolve(row.instance_id)
                if record:
                    await self._bell.ring(record.id)
            await self._look()
        done = "Nothing was rung for." if dry_run else "Each was rung for, and the cloud is looked at."
        return RecoveryReport(
            dry_run=dry_run, results=rows, message=f"{len(rows)} are being brought back, or are to be. {done}"
        )

    async def check_failed(self, *, dry_run: bool) -> FailedReport:
        """Migrations that failed within a day. Raises the cloud's errors."""
        since = self._now() - SINCE
        jobs = [job for type_ in MIGRATIONS for job in await self._cloud.jobs(type=type_, since=since)]
        failed = [job for job in jobs if job.state in FAILED]
        rows = [row for job in failed if (row := self._failed(job, jobs, dry_run=dry_run))]
        for row in rows:
            record = self._store.view.resolve(row.instance_id)
            if row.outcome == "rung" and record:
                await self._bell.ring(record.id)
        due = sum(row.outcome != "none" for row in rows)
        return FailedReport(
            dry_run=dry_run,
            total_checked=len(failed),
            results=tuple(rows),
            message=f"{len(rows)} failed migrations are of our machines; {due} of them are to be made up for.",
        )

    def _rows(self, records: Iterable[Record]) -> tuple[RecoveringView, ...]:
        return tuple(self._row(record) for record in records if record.recovering and status(record) == "migrating")

    def _row(self, record: Record) -> RecoveringView:
        recovering, now = record.recovering, self._now()
        assert recovering
        at, count = eligible_at(record, now, self._policy), len(of_the_day(record, now))
        is_begun = recovering.begun_at is not None
        return RecoveringView(
            instance_id=record.id,
            name=record.name,
            status=status(record),
            stage=_stage(record, count, is_due=now >= at),
            reason=record.reason or recovering.reason,
            by=recovering.by,
            lost_at=time_text(recovering.lost_at),
            begun_at=time_text(recovering.begun_at) if recovering.begun_at else None,
            next_at=None if is_begun else time_text(at),
            recoveries_today=count,
            max_per_day=record.recovery.max_per_day,
        )

    def _failed(self, job: Job, jobs: Iterable[Job], *, dry_run: bool) -> FailedMigration | None:
        record = self._store.view.by_machine(job.instance)
        if record is None:
            return None
        newest = max((one for one in jobs if one.instance == job.instance), key=_made_at)
        is_newest = newest.id == job.id
        reason = _reason(record, is_newest=is_newest)
        return FailedMigration(
            job_id=job.id,
            type=job.type,
            state=job.state,
            error=job.error or None,
            created_at=time_text(job.created_at) if job.created_at else None,
            instance_id=record.id,
            name=record.name,
            status=status(record),
            newest=is_newest,
            outcome="none" if reason else "due" if dry_run else "rung",
            reason=reason or "it is meant to run and has exited; its recovery sees to it",
        )


def _stage(record: Record, count: int, *, is_due: bool) -> Stage:
    if record.recovering and record.recovering.begun_at:
        return "under way"
    if count >= record.recovery.max_per_day:
        return "limit"
    return "due" if is_due else "waiting"


def _made_at(job: Job) -> float:
    return job.created_at.timestamp() if job.created_at else 0.0


def _reason(record: Record, *, is_newest: bool) -> str:
    """Why nothing is to be done about it; empty if something is."""
    if not is_newest:
        return "a later migration speaks for the machine"
    if record.wants is not Wish.RUNNING or record.failure:
        return "the instance is not meant to run"
    if record.seen is None or record.seen.status != EXITED_STATUS:
        return "the machine has not exited, as far as is known"
    return ""
