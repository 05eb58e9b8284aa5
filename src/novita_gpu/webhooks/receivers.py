"""What is known of a delivery's receiver: what signs for it now, and whether it is still there."""

from collections.abc import Callable, Sequence
from datetime import datetime

from novita_gpu.domain.endpoint import Endpoint, failed, left, succeeded
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret
from novita_gpu.observe import tell
from novita_gpu.store.base import Delivery, Stale
from novita_gpu.store.endpoints import Endpoints
from novita_gpu.webhooks.schedule import GONE, Reply

REMOVED = "its endpoint was removed"
OFF = "its endpoint is switched off"


class Receiver(Value, frozen=True, kw_only=True):
    """`gone`: why there is no use in sending to it."""

    secrets: tuple[Secret, ...] = ()
    endpoint: Endpoint | None = None
    gone: str | None = None


class Receivers:
    """`default` are the secrets that sign for whoever is no registered endpoint, the newest first."""

    def __init__(
        self,
        endpoints: Endpoints,
        default: Sequence[str],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._endpoints, self._default = endpoints, tuple(default)
        self._now, self._new_id = now, new_id

    async def of(self, delivery: Delivery) -> Receiver:
        if delivery.endpoint_id is None:
            return Receiver(secrets=self._default)
        endpoint = await self._endpoints.load(delivery.endpoint_id)
        if endpoint is None:
            return Receiver(gone=REMOVED)
        return Receiver(
            secrets=endpoint.secrets(self._now()), endpoint=endpoint, gone=None if endpoint.enabled else OFF
        )

    async def heard(self, receiver: Receiver, reply: Reply) -> None:
        """Whether it succeeds or fails is remembered; one that only fails for days, or is gone, is switched off."""
        endpoint = receiver.endpoint
        if endpoint is None or reply.final:
            return
        now = self._now()
        after = _after(endpoint, reply, now)
        if after == endpoint:
            return
        try:
            off = None if after.enabled else self._told(after, now)
            await self._endpoints.save(after, off)
        except Stale:
            return  # changed meanwhile, or heard of by another sending: the next answer is weighed anew
        if off:
            tell(off)

    def _told(self, endpoint: Endpoint, now: datetime) -> Event:
        return Event(
            id=self._new_id("evt"),
            type=EventType.ENDPOINT_OFF,
            at=now,
            actor="webhooks",
            reason=f"{endpoint.off_reason}: switch it on again once it answers",
            facts={"endpointId": endpoint.id, "failingSince": (endpoint.failing_since or now).isoformat()},
        )


def _after(endpoint: Endpoint, reply: Reply, now: datetime) -> Endpoint:
    if reply.is_success:
        return succeeded(endpoint)
    return left(endpoint, now) if reply.status_code == GONE else failed(endpoint, now)
