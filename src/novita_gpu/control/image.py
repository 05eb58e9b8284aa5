"""An image of a machine that will be taken: asked for once its intent is stored, and followed until it is saved."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import MUTATION_TIMEOUT, Cloud, CloudError, Lane
from novita_gpu.control.inspection import newest_job
from novita_gpu.control.journal import Journal
from novita_gpu.control.replies import reply_of
from novita_gpu.domain.answers import Meaning
from novita_gpu.domain.events import Cause
from novita_gpu.domain.image import SavedImage
from novita_gpu.domain.imaging import answered, asked, looked, machine_of
from novita_gpu.domain.instance import Record
from novita_gpu.domain.learn import Learned

log = structlog.get_logger()

SAVINGS = ("saveImage",)
CAUSE = Cause(actor="recovery")


class Imager:
    def __init__(
        self,
        cloud: Cloud,
        journal: Journal,
        now: Callable[[], datetime],
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self._cloud, self._journal, self._now = cloud, journal, now
        self._mutation_timeout = mutation_timeout

    async def save(self, before: Record, learned: Learned) -> Record:
        """Intent, call, answer. Raises `CloudError` where no call may be made now, and the store's `Stale`."""
        async with self._cloud.permit(Lane.SPENDING):
            record = asked(learned.record, self._now(), self._mutation_timeout)
            image = record.image
            assert image
            stored = await self._write(before, replace(learned, record=replace(record, due=image.deadline)))
            job, refusal = await self._call(record, image)
        log.info("image.answered", job=job, refusal=refusal)
        if not job and not refusal:
            return stored  # what came of it the jobs will tell
        written = await self._journal.fact(
            stored.id, lambda now: answered(now, image.address, job=job, refusal=refusal), CAUSE, self._now()
        )
        return written or stored

    async def _call(self, record: Record, image: SavedImage) -> tuple[str, str]:
        """The job, or why there is none; neither where that is not known."""
        machine = machine_of(record, image)
        assert machine
        try:
            return await self._cloud.save_image(machine, image.address, image.auth_id), ""
        except CloudError as error:
            reply = reply_of(error, self._now())
            return "", "" if reply.meaning is Meaning.UNKNOWN else reply.message or reply.meaning.value

    async def look(self, before: Record, learned: Learned) -> Record:
        """What its job says by now. Without an answer it is asked for again later."""
        record = learned.record
        image = record.image
        assert image
        machine = machine_of(record, image)
        try:
            job = await newest_job(self._cloud, machine, SAVINGS, image.asked_at) if machine else None
        except CloudError as error:
            log.info("jobs.failed", error=error.message)
            waits = replace(image, state="saving", looked_at=self._now())
            return await self._write(before, replace(learned, record=replace(record, image=waits, due=self._now())))
        seen = looked(record, job.id if job else "", job.state if job else "", job.error if job else "", self._now())
        seen = Learned(record=replace(seen.record, due=self._now()), notes=(*learned.notes, *seen.notes))
        return await self._write(before, seen)

    async def _write(self, before: Record, learned: Learned) -> Record:
        return await self._journal.write(self._journal.change(before, learned, CAUSE, self._now()))
