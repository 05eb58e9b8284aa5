"""Novita's GPU API (v1) behind the seam: each call of the protocol is one path, one body, one reading."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from math import ceil
from random import Random

from novita_gpu.cloud.base import (
    MUTATION_TIMEOUT,
    Ambiguous,
    Balance,
    Cluster,
    Detail,
    Job,
    Lane,
    Listing,
    Metrics,
    NotFound,
    Order,
    OutOfCapacity,
    Product,
    RegistryAuth,
    Rejected,
    Row,
    Template,
    Unreachable,
    Unreadable,
    Withdrawn,
    WrongState,
)
from novita_gpu.cloud.budget import Budget
from novita_gpu.cloud.calls import TOO_LATE, Calls, Query
from novita_gpu.cloud.circuit import Circuits, CircuitState, Condition
from novita_gpu.cloud.lanes import Lanes
from novita_gpu.cloud.meaning import PLACE_REASONS
from novita_gpu.cloud.paging import PAGE_SIZE, Pages, read_pages
from novita_gpu.cloud.reading import (
    create_body,
    read_balance,
    read_cluster,
    read_detail,
    read_job,
    read_metrics,
    read_product,
    read_registry_auth,
    read_row,
    read_template,
)
from novita_gpu.cloud.transport import HttpTransport, Transport
from novita_gpu.cloud.wire import ROOT, Fields, Lexicon, Rows, account_url, decode, gpu_url, root_of, rows_of
from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.spec import BillingMode

# Too short: a long page of machines is never read; too long: a hanging cloud holds up a pass.
READ_TIMEOUT = timedelta(seconds=15)
# The cloud's metrics take no shorter window (documented).
SHORTEST_WINDOW = timedelta(seconds=60)
SHORTEST_STEP = timedelta(seconds=15)

# So that a caller who gives no limit (infinity) is no overflow.
_LONGEST_WAIT_SECONDS = 86_400.0
_USABLE_ID = re.compile(r"(?!0$)[A-Za-z0-9_.-]{1,128}")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Novita:
    """`base.Cloud` over HTTP. Built anywhere, used on one event loop, ended by `close`."""

    def __init__(
        self,
        key: str,
        *,
        root: str = ROOT,
        calls_per_minute: int = 100,
        transport: Transport | None = None,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Random | None = None,
        read_timeout: timedelta = READ_TIMEOUT,
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self.root = root_of(root)
        self.budget = Budget(calls_per_minute, monotonic)
        self._now = now
        self._monotonic = monotonic
        self._lexicon = Lexicon()
        self._circuits = Circuits(monotonic)
        self._lanes = Lanes(self.budget, self._circuits)
        self._calls = Calls(
            key=key,
            transport=transport or HttpTransport(),
            lanes=self._lanes,
            circuits=self._circuits,
            monotonic=monotonic,
            now=now,
            sleep=sleep,
            random=random or Random(),  # noqa: S311 (jitter, no secret)
            read_timeout=read_timeout,
            # Attempts and mutations on record are believed to be over after this long.
            mutation_timeout=min(mutation_timeout, MUTATION_TIMEOUT),
        )

    def __repr__(self) -> str:
        return f"Novita({self.root!r})"

    @property
    def circuit(self) -> CircuitState:
        """The worst of all kinds of calls."""
        return self._circuits.state

    @property
    def circuits(self) -> tuple[Condition, ...]:
        """Reads, what spends, what saves."""
        return self._circuits.conditions

    @property
    def retry_after(self) -> timedelta | None:
        """Until the first of the open circuits lets a call through; None while none is open."""
        return self._circuits.retry_after

    @property
    def skew(self) -> timedelta | None:
        """How far our clock is ahead of the cloud's, by the `Date` of its last answer."""
        return self._calls.skew

    def permit(self, lane: Lane) -> AbstractAsyncContextManager[None]:
        return self._lanes.permit(lane)

    async def close(self) -> None:
        await self._calls.close()

    # Mutations

    async def create(self, order: Order, *, send_by: float) -> CloudId:
        """An answer without a usable id leaves it open whether a machine was made."""
        body = create_body(order)
        secrets = [env.value for env in order.spec.envs]
        try:
            answer = await self._calls.mutate(
                gpu_url(self.root, "/gpu/instance/create"),
                body,
                Lane.SPENDING,
                secrets=secrets,
                wanted=self._until(send_by),
            )
        except NotFound as error:
            raise Withdrawn(error.message, reason=error.reason) from None
        except WrongState as error:
            # A closed cluster or node is no fault of the order: the next place may take it.
            kind = OutOfCapacity if error.reason in PLACE_REASONS else Rejected
            raise kind(error.message, reason=error.reason) from None
        return _id_in(answer)

    async def start(self, machine: CloudId) -> None:
        await self._act("start", machine, Lane.SPENDING)

    async def stop(self, machine: CloudId) -> None:
        await self._act("stop", machine, Lane.SAVING)

    async def restart(self, machine: CloudId) -> None:
        await self._act("restart", machine, Lane.SPENDING)

    async def migrate(self, machine: CloudId) -> None:
        await self._act("migrate", machine, Lane.SPENDING)

    async def delete(self, machine: CloudId) -> None:
        await self._act("delete", machine, Lane.SAVING)

    async def save_image(self, machine: CloudId, image: str, registry_auth_id: str = "") -> str:
        """The id of the job that saves."""
        body = {"instanceId": machine, "image": image}
        if registry_auth_id:
            body["registryAuthId"] = registry_auth_id
        answer = await self._calls.mutate(gpu_url(self.root, "/job/save/image"), body, Lane.SPENDING)
        job = Fields.of(decode(answer)).text("jobId", "JobId", "Id", "id")
        if not job:
            raise Ambiguous("the cloud took the wish to save an image and named no job")
        return job

    async def _act(self, verb: str, machine: CloudId, lane: Lane) -> None:
        await self._calls.mutate(gpu_url(self.root, f"/gpu/instance/{verb}"), {"instanceId": machine}, lane)

    def _until(self, send_by: float) -> Callable[[], bool]:
        """Whether it is still before `send_by`, by the monotonic clock and by the wall: the former stands still
        while a laptop sleeps."""
        remaining = timedelta(seconds=min(send_by - self._monotonic(), _LONGEST_WAIT_SECONDS))
        if remaining < timedelta(0):
            raise Unreachable("not sent: its time was over", reason=TOO_LATE)
        wall = self._now() + remaining
        return lambda: self._monotonic() <= send_by and self._now() <= wall

    # Reads

    async def listing(self) -> Listing:
        began_at = self._now()
        pages = await self._pages("/gpu/instances", "instances", ids=("id", "Id"))
        ended_at = self._now()
        rows = await self._rows(pages.rows, began_at)
        return Listing(
            began_at=began_at,
            ended_at=ended_at,
            complete=not pages.fault,
            rows=rows,
            total=pages.total,
            fault=pages.fault,
        )

    async def _rows(self, found: tuple[Fields, ...], began_at: datetime) -> tuple[Row, ...]:
        """Between pages others have their turn: thousands of machines take a part of a second."""
        rows: list[Row] = []
        for start in range(0, len(found), PAGE_SIZE):
            rows += (read_row(fields, began_at, self._lexicon) for fields in found[start : start + PAGE_SIZE])
            await asyncio.sleep(0)
        return tuple(rows)

    async def get(self, machine: CloudId) -> Detail:
        """Raises `Unreadable` for an answer that is about no machine, or about another one."""
        began_at = self._now()
        answer = await self._gpu("/gpu/instance", ("instanceId", machine))
        fields = answer if answer.text("id", "Id") else answer.inner("instance")
        if fields.text("id", "Id") != machine:
            raise Unreadable("the cloud's answer is not about the machine that was asked for")
        return read_detail(fields, began_at, self._lexicon)

    async def products(self, billing_mode: BillingMode, cluster_id: str = "") -> tuple[Product, ...]:
        query = (("billingMethod", billing_mode.value), *((("clusterId", cluster_id),) if cluster_id else ()))
        rows = rows_of(await self._gpu("/products", *query), "data")
        products = (read_product(fields, self._lexicon) for fields in rows.fields)
        return tuple(product for product in products if product)

    async def clusters(self) -> tuple[Cluster, ...]:
        rows = rows_of(await self._gpu("/clusters"), "data")
        return tuple(cluster for cluster in map(read_cluster, rows.fields) if cluster.id)

    async def templates(self) -> tuple[Template, ...]:
        """The official ones and our own. The community's are without number, and asked for by id."""
        official = await self._all("/templates", "template", ("channel", "official"), ("isMyCommunity", "false"))
        private = await self._all("/templates", "template", ("channel", "private"), ("isMyCommunity", "true"))
        return tuple(read_template(fields, self._lexicon) for fields in (*official, *private))

    async def template(self, template_id: str) -> Template:
        fields = (await self._gpu("/template", ("templateId", template_id))).inner("template")
        if not fields.text("Id", "id"):
            raise Unreadable("the cloud's answer holds no template")
        return read_template(fields, self._lexicon)

    async def registry_auths(self) -> tuple[RegistryAuth, ...]:
        rows = rows_of(await self._gpu("/repository/auths"), "data")
        return tuple(read_registry_auth(fields) for fields in rows.fields)

    async def jobs(self, *, type: str = "", since: datetime | None = None) -> tuple[Job, ...]:  # noqa: A002
        """Newest first. The cloud names no order, and an older job must not speak for a newer one."""
        wanted: Query = (("type", type),) if type else ()
        if since:
            wanted += (("startTime", str(int(since.timestamp()))),)
        jobs = [read_job(fields, self._lexicon) for fields in await self._all("/jobs", "jobs", *wanted)]
        return tuple(sorted(jobs, key=lambda job: job.created_at.timestamp() if job.created_at else 0, reverse=True))

    async def metrics(
        self, machine: CloudId, since: datetime, until: datetime, step: timedelta | None = None
    ) -> Metrics:
        begin = min(since, until - SHORTEST_WINDOW)
        query: Query = (
            ("instanceId", machine),
            ("startTime", str(int(begin.timestamp()))),
            ("endTime", str(int(until.timestamp()))),
        )
        if step and step > SHORTEST_STEP:  # what is not longer is no value that the cloud takes (documented)
            query += (("interval", str(ceil(step.total_seconds()))),)
        # Tried once: who needs them asks again in minutes, for all that came meanwhile.
        return read_metrics(await self._calls.read(account_url(self.root, "/metrics/gpu/instance"), query, tries=1))

    async def balance(self) -> Balance:
        balance = read_balance(await self._calls.read(account_url(self.root, "/billing/balance/detail")))
        if balance is None:
            raise Unreadable("the cloud's answer does not tell the balance")
        return balance

    async def _gpu(self, path: str, *query: tuple[str, str]) -> Fields:
        return await self._calls.read(gpu_url(self.root, path), query)

    async def _all(self, path: str, name: str, *query: tuple[str, str]) -> tuple[Fields, ...]:
        """Every row of a list, or the error that kept a page from being read."""
        pages = await self._pages(path, name, *query, ids=("Id", "id"))
        if pages.error:
            raise pages.error
        return pages.rows

    async def _pages(self, path: str, name: str, *query: tuple[str, str], ids: tuple[str, ...]) -> Pages:
        async def fetch(number: int) -> Rows:
            page = (("pageSize", str(PAGE_SIZE)), ("pageNum", str(number)))
            return rows_of(await self._gpu(path, *page, *query), name)

        # One place for all pages: a listing that was let in is read to its end.
        async with self._lanes.place(Lane.LOOKING):
            return await read_pages(fetch, *ids)


def _id_in(answer: bytes) -> CloudId:
    given = Fields.of(decode(answer)).text("id", "Id", "instanceId")
    if not _USABLE_ID.fullmatch(given):
        raise Ambiguous("the cloud took the order and named no machine")
    return CloudId(given)
