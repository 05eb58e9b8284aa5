"""The whole comparison with the cloud that nobody asks for: at start, every interval, and after the queue was lost.

It takes the place of the listing that is due, so the cloud is asked nothing more for it, and does nothing that a
person's does not. One process at a time makes it, under a lock that ends with its holder.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from novita_gpu.cloud.base import CloudError
from novita_gpu.contract import SyncFault, SyncRequest
from novita_gpu.control.bell import Bell, NextLook
from novita_gpu.control.commands import Caller
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.sync import Sync
from novita_gpu.control.sync_log import LOCK, SyncLog
from novita_gpu.store import Store

log = structlog.get_logger()

# How long after its holder's death another takes over. Shorter, and a process that merely stands still loses it.
LOCKED_FOR = timedelta(seconds=15)
# Who finds it locked looks again after this.
LOOK_AGAIN = timedelta(seconds=5)


class TimedSync:
    """`owner` names this process among all others."""

    def __init__(
        self,
        *,
        store: Store,
        sync: Sync,
        sweep: Sweep,
        sync_log: SyncLog,
        bell: Bell,
        owner: str,
        moving: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._sync, self._sweep, self._log = store, sync, sweep, sync_log
        self._bell, self._owner, self._moving, self._now = bell, owner, moving, now

    async def ask(self) -> None:
        """The next look at the cloud, which is soon, is one. Raises the store's `Unavailable`."""
        try:
            await self._log.ask()
        finally:
            await self._bell.look(self._now())

    async def look(self, *, asked: bool) -> NextLook:
        """What a look at the cloud comes to: the comparison when it is due, else a listing. As `Sweep.sweep`."""
        if await self._is_due():
            async with self._store.facts.lock(LOCK, self._owner, LOCKED_FOR) as held:
                if not held:
                    return NextLook(at=self._now() + LOOK_AGAIN, asked=True)
                if await self._is_due():  # another may have made it since
                    return await self._compare()
        return await self._sweep.sweep(asked=asked)

    async def _is_due(self) -> bool:
        if not self._store.view.loaded or not await self._log.is_due():
            return False
        before = await self._store.looks.mark()
        return before is None or self._now() >= self._sweep.earliest(before)

    async def _compare(self) -> NextLook:
        try:
            report = await self._sync.sync(SyncRequest(), Caller(actor="sync"))
        except CloudError as error:
            log.warning("comparison.failed", error=error.message)
            await self._log.failed((SyncFault(code="NOVITA_API_ERROR", message=error.message),))
            return NextLook(at=self._now() + max(self._moving, error.retry_after or self._moving))
        log.info("comparison.done", machines=report.novita_instances, duration_ms=report.duration_ms)
        mark = await self._store.looks.mark()
        return NextLook(at=mark.next_at if mark else self._now() + self._moving)
