"""The net under lost rings: what is overdue is rung for again, and nothing else, so that it costs next to nothing."""

from collections.abc import Callable
from datetime import datetime

from novita_gpu.control.bell import Bell
from novita_gpu.store import Store


class SafetyNet:
    """Overdue instances are the listing's to ring; this sees to it that there is one, and that the outbox moves."""

    def __init__(self, store: Store, bell: Bell, now: Callable[[], datetime]) -> None:
        self._looks, self._deliveries, self._bell, self._now = store.looks, store.deliveries, bell, now

    async def check(self) -> None:
        """Raises the store's `Unavailable`."""
        now = self._now()
        mark = await self._looks.mark()
        if mark is None or mark.next_at <= now:
            await self._bell.look(now)
        due = await self._deliveries.next_due_at()
        if due and due <= now:
            await self._bell.outbox()
