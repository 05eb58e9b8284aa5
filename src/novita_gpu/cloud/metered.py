"""Any cloud, with its calls counted by operation and meaning, their time, and when the last one was answered."""

import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from opentelemetry.trace import SpanKind

from novita_gpu.cloud.base import (
    Ambiguous,
    Balance,
    Cloud,
    CloudError,
    Cluster,
    Detail,
    Job,
    Lane,
    Listing,
    Metrics,
    Order,
    Product,
    RegistryAuth,
    Template,
    Throttled,
    Unauthorized,
    Unreachable,
    Unreadable,
)
from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.spec import BillingMode
from novita_gpu.observe import CLOUD, PERFORMANCE, Parts, measured, ms, spent
from novita_gpu.observe.tracing import span

log = structlog.get_logger()

T = TypeVar("T")

OK = "ok"
UNFINISHED = "unfinished"  # cancelled, or a bug
# The cloud told nothing of what was asked: no answer, none that can be understood, or not to this key.
_SILENT = frozenset(kind.__name__ for kind in (Unreachable, Unreadable, Ambiguous, Unauthorized))
# Every other meaning is an answer of the cloud, though perhaps a refusal.
_UNANSWERED = _SILENT | {UNFINISHED, Throttled.__name__}


class Meters:
    """Counters that only grow. Operations and meanings are few, so they do too."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()  # by operation and OK, UNFINISHED or the error's name
        self.seconds: defaultdict[str, float] = defaultdict(float)  # by operation, all its calls together
        self.last_answer_at: datetime | None = None
        self.last_seconds = 0.0  # of the last call that was answered
        self.unanswered_at: datetime | None = None
        self.unanswered = ""
        self.last_error_at: datetime | None = None
        self.last_error: str | None = None

    def total(self, meaning: str | None = None) -> int:
        return sum(count for (_, name), count in self.calls.items() if meaning in {None, name})

    def silent(self) -> int:
        """Calls that told nothing."""
        return sum(count for (_, name), count in self.calls.items() if name in _SILENT)


class Metered:
    """`base.Cloud` around another. `meters` is what health and metrics read."""

    def __init__(
        self,
        inner: Cloud,
        *,
        slow: timedelta = timedelta(seconds=5),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.inner = inner
        self.meters = Meters()
        self._now = now
        self._monotonic = monotonic
        self._slow_s = slow.total_seconds()

    def permit(self, lane: Lane) -> AbstractAsyncContextManager[None]:
        return self._permit(lane)

    @asynccontextmanager
    async def _permit(self, lane: Lane) -> AsyncGenerator[None]:
        """Refusals at the entrance are counted; what happens inside is counted by the calls themselves."""
        is_inside = False
        try:
            async with self.inner.permit(lane):
                is_inside = True
                yield
        except CloudError as error:
            if not is_inside:
                self._note(f"permit.{lane}", type(error).__name__, 0.0)
            raise

    async def create(self, order: Order, *, send_by: float) -> CloudId:
        return await self._measured("create", self.inner.create(order, send_by=send_by))

    async def start(self, machine: CloudId) -> None:
        await self._measured("start", self.inner.start(machine))

    async def stop(self, machine: CloudId) -> None:
        await self._measured("stop", self.inner.stop(machine))

    async def restart(self, machine: CloudId) -> None:
        await self._measured("restart", self.inner.restart(machine))

    async def migrate(self, machine: CloudId) -> None:
        await self._measured("migrate", self.inner.migrate(machine))

    async def delete(self, machine: CloudId) -> None:
        await self._measured("delete", self.inner.delete(machine))

    async def listing(self) -> Listing:
        return await self._measured("listing", self.inner.listing())

    async def get(self, machine: CloudId) -> Detail:
        return await self._measured("get", self.inner.get(machine))

    async def products(self, billing_mode: BillingMode, cluster_id: str = "") -> tuple[Product, ...]:
        return await self._measured("products", self.inner.products(billing_mode, cluster_id))

    async def clusters(self) -> tuple[Cluster, ...]:
        return await self._measured("clusters", self.inner.clusters())

    async def templates(self) -> tuple[Template, ...]:
        return await self._measured("templates", self.inner.templates())

    async def template(self, template_id: str) -> Template:
        return await self._measured("template", self.inner.template(template_id))

    async def registry_auths(self) -> tuple[RegistryAuth, ...]:
        return await self._measured("registry_auths", self.inner.registry_auths())

    async def jobs(self, *, type: str = "", since: datetime | None = None) -> tuple[Job, ...]:  # noqa: A002
        return await self._measured("jobs", self.inner.jobs(type=type, since=since))

    async def save_image(self, machine: CloudId, image: str, registry_auth_id: str = "") -> str:
        return await self._measured("save_image", self.inner.save_image(machine, image, registry_auth_id))

    async def metrics(
        self, machine: CloudId, since: datetime, until: datetime, step: timedelta | None = None
    ) -> Metrics:
        return await self._measured("metrics", self.inner.metrics(machine, since, until, step))

    async def balance(self) -> Balance:
        return await self._measured("balance", self.inner.balance())

    async def close(self) -> None:
        await self.inner.close()

    async def _measured(self, operation: str, call: Awaitable[T]) -> T:
        began = self._monotonic()
        meaning = UNFINISHED
        with spent(CLOUD, self._monotonic), span(f"cloud {operation}", SpanKind.CLIENT), measured() as parts:
            try:
                answer = await call
                meaning = OK
                return answer
            except CloudError as error:
                meaning = type(error).__name__
                self._fail(operation, meaning, error)
                raise
            finally:
                seconds = self._monotonic() - began
                self._note(operation, meaning, seconds)
                if seconds > self._slow_s:
                    _log_slow(operation, meaning, seconds, parts)

    def _fail(self, operation: str, meaning: str, error: CloudError) -> None:
        self.meters.last_error, self.meters.last_error_at = f"{meaning}: {error.message}", self._now()
        if meaning in _SILENT:
            self.meters.unanswered, self.meters.unanswered_at = f"{operation}: {error.message}", self._now()

    def _note(self, operation: str, meaning: str, seconds: float) -> None:
        self.meters.calls[operation, meaning] += 1
        self.meters.seconds[operation] += seconds
        if meaning not in _UNANSWERED:
            self.meters.last_answer_at, self.meters.last_seconds = self._now(), seconds


def _log_slow(operation: str, meaning: str, seconds: float, parts: Parts) -> None:
    """With what it waited for: a place, the exchange itself, and the rest, which is pauses between tries."""
    what = {"operation": operation, "meaning": meaning, "ms": ms(seconds)}
    log.warning("call.slow", category=PERFORMANCE, **what, **parts.ms(seconds))
