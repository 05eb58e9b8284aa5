"""Answers kept for Idempotency-Keys, on the way back: who asks again gets the one that was given last.

A request that the shared server carried out late, or answered to nobody, was asked again while it was out: then there
are two instances for one wish.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog
from msgspec.structs import replace

from novita_gpu.control.journal import Journal
from novita_gpu.control.parting import chunks
from novita_gpu.domain.events import Cause
from novita_gpu.domain.instance import InstanceId, Record, Wish
from novita_gpu.domain.recovery import without_recovery
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import Answer, Change

log = structlog.get_logger()

CREATED = 201


class _Created(Value, frozen=True, kw_only=True, rename="camel"):
    """What is read of an answer."""

    instance_id: InstanceId


class SameRequest:
    """`journal` writes to the shared store. All of it may be repeated."""

    def __init__(self, private: Store, shared: Store, journal: Journal, now: Callable[[], datetime]) -> None:
        self._private, self._shared, self._journal, self._now = private, shared, journal, now
        self._made_there: dict[InstanceId, InstanceId] = {}

    async def bring(self) -> None:
        """The answers that were given here are those that the shared store gives."""
        for chunk in chunks(await self._private.claims.names()):
            await asyncio.gather(*map(self._bring, chunk))

    async def _bring(self, name: str) -> None:
        kept = await self._private.claims.kept(name)
        if kept is None:
            return
        before = await self._shared.claims.kept(name)
        ours, theirs = _created(kept.answer), _created(before.answer if before else None)
        if before and not (ours and theirs):
            return  # who asked again here, where it was not known, was refused: that is no better answer
        await self._shared.claims.bring(kept)
        if ours and theirs and ours != theirs:
            self._made_there[ours] = theirs

    async def undo(self, ours: Record) -> None:
        """What the same request made there is deleted, as nobody was told of it; not where it ran: it may be in use."""
        there = self._made_there.get(ours.id)
        if there is None:
            return
        cause = Cause(actor="sync", reason=f"the same request was answered with {ours.id} while the store was out")

        def change_of(record: Record) -> Change | None:
            if record.wants is Wish.DELETED or (record.machine and record.machine.ran):
                return None
            is_nothing = not record.attempts and not record.machine
            after = replace(
                without_recovery(record, Wish.DELETED),
                wants=Wish.DELETED,
                generation=record.generation + 1,
                operation=self._journal.operation(),
                deleted_at=self._now() if is_nothing else None,
                due=self._now(),
            )
            return self._journal.change(record, after, cause, self._now())

        log.warning("meeting.same_request", instance=ours.id, undone=there)
        await self._shared.records.update(there, change_of)


def _created(answer: Answer | None) -> InstanceId | None:
    if answer is None or answer.status != CREATED:
        return None
    return msgspec.json.decode(answer.body, type=_Created).instance_id
