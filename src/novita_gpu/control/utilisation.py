"""How busy an instance's GPUs were, read while somebody looks: once a minute at most, however many look."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from novita_gpu.cloud.base import Cloud, Metrics, NotFound
from novita_gpu.contract import time_text
from novita_gpu.contract.utilisation import UsePointView, UtilisationQuery, UtilisationView
from novita_gpu.control.measure import points
from novita_gpu.control.remembered import Cached, Known, Remembered, Uses, one_of
from novita_gpu.domain.instance import CloudId, Record

# The cloud's figures are a minute old anyway.
TTL = timedelta(minutes=1)
POINTS = 360
# The cloud's own step; it takes none that is shorter (documented).
STEP = timedelta(seconds=15)

Window = tuple[CloudId, int]
NOTHING = Metrics(gpu=(), gpu_memory=())


class Utilisation:
    def __init__(self, cloud: Cloud, now: Callable[[], datetime]) -> None:
        self._cloud, self._now = cloud, now
        self._uses = Uses()
        self._windows: OrderedDict[Window, Remembered[Metrics]] = OrderedDict()
        self.cache = Cached(self._uses, self._windows.values)

    async def of(self, record: Record, query: UtilisationQuery) -> UtilisationView:
        """Raises the cloud's errors where it never told anything."""
        known = await self._known((record.machine.id, query.hours)) if record.machine else None
        return _view(record, timedelta(hours=query.hours), known or Known(value=NOTHING, at=self._now()))

    async def _known(self, window: Window) -> Known[Metrics] | None:
        """None: the cloud does not know the machine, or not any more."""
        with suppress(NotFound):
            return await one_of(self._windows, window, lambda: self._remembered(*window), self._uses).known()
        return None

    async def close(self) -> None:
        """Ends readings that are under way. Before the cloud is closed."""
        for one in self._windows.values():
            await one.close()

    def _remembered(self, machine: CloudId, hours: int) -> Remembered[Metrics]:
        span = timedelta(hours=hours)

        async def fetch() -> Metrics:
            until = self._now()
            return await self._cloud.metrics(machine, until - span, until, step=max(STEP, span / POINTS))

        return Remembered(fetch, TTL, self._now, ahead=False, uses=self._uses)


def _view(record: Record, span: timedelta, known: Known[Metrics]) -> UtilisationView:
    since = known.at - span
    found = points(known.value, since)
    return UtilisationView(
        instance_id=record.id,
        since=time_text(since),
        until=time_text(known.at),
        stale=known.fault or None,
        points=tuple(UsePointView(at=time_text(each.at), gpu=each.busy, gpu_memory=each.memory) for each in found),
    )
