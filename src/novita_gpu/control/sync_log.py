"""When the last whole comparison with the cloud was, what it found, and when the next is due."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from novita_gpu.contract import SyncFault, SyncReport
from novita_gpu.domain.value import Value
from novita_gpu.store import Store

FACT = "sync"
LOCK = "sync"
ASKED = "sync-asked"
# One that failed, or could not be believed, is made again with the first listing after this. Shorter, and a cloud in
# trouble has everything that moves passed over with each listing.
RETRY = timedelta(seconds=15)


class Synced(Value, frozen=True, kw_only=True):
    """The last comparison that read all and was believed."""

    at: datetime
    by: str
    duration_ms: float
    novita_instances: int
    local_instances: int
    adopted: int
    updated: int
    closed: int
    missing: int
    orphans: int


class SyncState(Value, frozen=True, kw_only=True):
    """`errors` of the last try: without one it is `last`."""

    tried_at: datetime
    next_at: datetime
    errors: tuple[SyncFault, ...] = ()
    last: Synced | None = None


class SyncLog:
    """Every call may raise the store's `Unavailable`. Of two writers at once the later counts."""

    def __init__(self, store: Store, every: timedelta, now: Callable[[], datetime]) -> None:
        self._facts, self._every, self._now = store.facts, every, now

    async def ask(self) -> None:
        """One is wanted that ends after now."""
        await self._facts.put(ASKED, msgspec.json.encode(self._now()).decode())

    async def is_due(self) -> bool:
        stored, asked = await self._facts.several(FACT, ASKED)
        state = state_of(stored)
        if state is None or self._now() >= state.next_at:
            return True
        return asked is not None and msgspec.json.decode(asked, type=datetime) > state.tried_at

    async def state(self) -> SyncState | None:
        return state_of(await self._facts.fact(FACT))

    async def keep(self, report: SyncReport, by: str, *, whole: bool) -> None:
        """`whole`: it read all, and what it read is believed."""
        if not whole:
            await self.failed(report.errors)
            return
        now = self._now()
        synced = Synced(
            at=now,
            by=by,
            duration_ms=report.duration_ms,
            novita_instances=report.novita_instances,
            local_instances=report.local_instances,
            adopted=report.adopted,
            updated=report.updated,
            closed=report.closed,
            missing=report.missing,
            orphans=len(report.orphans),
        )
        await self._write(SyncState(tried_at=now, next_at=now + self._every, last=synced))

    async def failed(self, errors: Sequence[SyncFault]) -> None:
        before, now = await self.state(), self._now()
        again = now + min(RETRY, self._every)
        last = before.last if before else None
        await self._write(SyncState(tried_at=now, next_at=again, errors=tuple(errors), last=last))

    async def _write(self, state: SyncState) -> None:
        await self._facts.put(FACT, msgspec.json.encode(state).decode())


def state_of(stored: str | None) -> SyncState | None:
    return msgspec.json.decode(stored, type=SyncState) if stored else None
