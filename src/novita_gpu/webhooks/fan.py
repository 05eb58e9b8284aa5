"""From the log to registered endpoints: each event that one takes becomes a delivery to it, once."""

from collections.abc import Mapping, Sequence

from novita_gpu.domain.endpoint import Endpoint
from novita_gpu.domain.events import Event
from novita_gpu.store import Store
from novita_gpu.store.base import addressed

BATCH = 500


class Fan:
    """May be run by several at once, and cut off anywhere: the store takes each stretch of the log once."""

    def __init__(self, store: Store) -> None:
        self._events, self._endpoints = store.events, store.endpoints

    async def spread(self) -> None:
        """Until every endpoint has all that the log holds. Raises `StoreError`."""
        while told := await self._endpoints.told():
            events = await self._events.read(min(told.values()), BATCH)
            if not events or not await self._spread(told, events):
                return

    async def _spread(self, told: Mapping[str, int], events: Sequence[Event]) -> bool:
        """Whether there may be more. The endpoints are read after the events: what one takes by then, it gets."""
        upto = events[-1].sequence
        for endpoint in await self._endpoints.all():
            after = told.get(endpoint.id)
            if after is not None and after < upto:
                await self._tell(endpoint, after, events)
        return len(events) == BATCH

    async def _tell(self, endpoint: Endpoint, after: int, events: Sequence[Event]) -> None:
        wanted = [event for event in events if event.sequence > after and endpoint.takes(event.type)]
        deliveries = [addressed(event, endpoint.url, endpoint.id) for event in wanted]
        await self._endpoints.tell(endpoint.id, after, events[-1].sequence, deliveries)
