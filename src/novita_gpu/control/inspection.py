"""One machine looked at by itself: a get, and where it shows an exit that nobody asked for, its newest migration."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError, Detail, Job, NotFound
from novita_gpu.domain.instance import EXITED_STATUS, CloudId, Record, Wish
from novita_gpu.domain.learn import Learned, learn
from novita_gpu.domain.look import Look, MigrationJob

log = structlog.get_logger()

MIGRATIONS = ("instanceMigrate", "autoInstanceMigrate")
UNDER_WAY = frozenset({"pulling", "running"})
# What its jobs would tell is waited for so long after it exited; then it is judged without.
JOBS_WITHIN = timedelta(minutes=10)


class Inspector:
    def __init__(self, cloud: Cloud, settle: timedelta, now: Callable[[], datetime]) -> None:
        self._cloud, self._settle, self._now = cloud, settle, now

    async def inspect(self, learned: Learned) -> tuple[Learned, Look | None]:
        """One get, learned from. Without an answer nothing is known that was not known before."""
        machine = learned.record.machine
        assert machine
        began = self._now()
        try:
            detail = await self._cloud.get(machine.id)
        except NotFound:
            look = Look(began_at=began, complete=False, not_found=True, from_get=True)
            return self._joined(learned, look), look
        except CloudError as error:
            log.info("look.failed", error=error.message)
            return learned, None
        try:
            job = await self._migration(learned.record, detail)
        except CloudError as error:
            log.info("jobs.failed", error=error.message)
            stopped_at = detail.row.seen.last_stopped_at
            is_late = stopped_at is not None and began > stopped_at + JOBS_WITHIN
            if learned.record.run.running_at and not is_late:
                return learned, None
            job = None
        look = Look(began_at=began, complete=False, row=detail.row, from_get=True, job=job)
        seen = self._joined(learned, look)
        return replace(seen, record=_connected(seen.record, detail)), look

    def _joined(self, first: Learned, look: Look) -> Learned:
        second = learn(first.record, look, self._settle)
        return Learned(record=second.record, notes=(*first.notes, *second.notes))

    async def _migration(self, record: Record, detail: Detail) -> MigrationJob | None:
        """The newest migration of this run's machine, asked for where it has exited though it is meant to run."""
        if detail.row.seen.status != EXITED_STATUS or record.wants is not Wish.RUNNING or record.failure:
            return None
        job = await newest_job(self._cloud, detail.row.id, MIGRATIONS, record.run.asked_at)
        return job and MigrationJob(id=job.id, state=job.state, error=job.error, created_at=job.created_at)


async def newest_job(cloud: Cloud, machine: CloudId, types: tuple[str, ...], since: datetime) -> Job | None:
    """The machine's newest job of these types; of two made in one second the one that runs. Raises `CloudError`."""
    since = since.replace(microsecond=0)  # the cloud's times are whole seconds
    found = [job for type_ in types for job in await cloud.jobs(type=type_, since=since)]
    own = [job for job in found if job.instance == machine and job.created_at and job.created_at >= since]
    return max(own, key=lambda job: (job.created_at or since, job.state in UNDER_WAY), default=None)


def _connected(record: Record, detail: Detail) -> Record:
    """Connection details belong to the run that was seen running."""
    if record.run.running_at is None:
        return record
    return replace(record, run=replace(record.run, connection=detail.connection))
