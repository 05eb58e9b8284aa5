"""A store that has lost everything gets living records and API keys back from the memory of whoever held them."""

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.base import Change, Lost, NotRunning

log = structlog.get_logger()

GONE_FOR_GOOD = "idempotency answers, deliveries, history and closed instances are lost"


class Restoring:
    """`facts` make the store this deployment's. Several processes may restore at once: the newest memory counts."""

    def __init__(
        self, store: Store, facts: Mapping[str, str], now: Callable[[], datetime], new_id: Callable[[str], str]
    ) -> None:
        self._store, self._facts, self._now, self._new_id = store, facts, now, new_id

    async def restore(self) -> None:
        """Raises the store's `Unavailable`; may be repeated."""
        store = self._store
        for name, value in self._facts.items():
            await store.facts.first(name, value)
        await store.facts.raise_sequence(store.view.sequence)
        for key in store.api_keys.all():
            await self._restore_key(key)
        written = 0
        for record in store.view.all():
            if record.deleted_at:
                continue
            written += await self._is_written(record)
            if at := store.view.activity(record.id):
                await self._touch(record.id, at)
        if written:
            await self._tell(f"the store came back empty; {written} living instances are from memory; {GONE_FOR_GOOD}")

    async def _is_written(self, record: Record) -> bool:
        """One that another has written from an older memory is written over: it may lack an intent."""
        records = self._store.records
        there = await records.load(record.id)
        if there and there.revision > record.revision:
            return False
        try:
            await records.commit(Change(before=there, after=record))
        except Lost as fault:
            log.info("restoring.known", instance_id=record.id, reason=str(fault))
            return False
        return True

    async def _restore_key(self, key: ApiKey) -> None:
        try:
            await self._store.api_keys.add(key)
        except Lost as fault:
            log.warning("restoring.key_known", key_id=key.id, reason=str(fault))

    async def _touch(self, instance: InstanceId, at: datetime) -> None:
        try:
            await self._store.records.touch(instance, at)
        except NotRunning:
            return

    async def _tell(self, reason: str) -> None:
        event = Event(
            id=self._new_id("evt"), type=EventType.STORE_RESTORED, at=self._now(), actor="sync", reason=reason
        )
        tell(await self._store.events.append(event))
