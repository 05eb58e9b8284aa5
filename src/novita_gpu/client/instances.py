"""Every call about instances."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, Unpack
from uuid import uuid4

from novita_gpu.client.answers import (
    Accepted,
    Answer,
    Bulk,
    EventPage,
    Instance,
    InstanceList,
    LastUsed,
    MergedList,
    Synced,
)
from novita_gpu.client.costs import Plan
from novita_gpu.client.errors import ApiError, InstanceFailed, NotReachable, WaitTimeout
from novita_gpu.client.idle import AutoStopStats, Explanation, Triggered, Utilisation
from novita_gpu.client.options import (
    CreateOptions,
    ListFilters,
    StartOptions,
    SyncOptions,
    UpdateOptions,
    WishOptions,
    create_body,
    to_query,
    to_wire,
)
from novita_gpu.client.recovery import FailedMigrations, RecoveryReport, RecoveryStatus
from novita_gpu.client.transport import Call, Transport, part

A = TypeVar("A", bound=Answer)
INSTANCES = "/api/instances"
STATUSES = (
    "creating",
    "starting",
    "running",
    "ready",
    "stopping",
    "stopped",
    "migrating",
    "deleting",
    "deleted",
    "failed",
)
OVER = frozenset({"failed", "deleted"})
HOLD = timedelta(seconds=30)  # one held request; the service allows 60 s, proxies often less
HEARTBEAT = timedelta(seconds=30)  # half of the shortest idle time that can be asked for


def path_of(instance: str, *rest: str) -> str:
    return "/".join((INSTANCES, part(instance), *rest))


class Use:
    """An instance kept from being stopped. `lost`: why the last heartbeat was refused; it may be stopped by now."""

    def __init__(self) -> None:
        self.lost: ApiError | None = None


class InstanceCalls:
    """`name` is our id, the cloud's id, or the instance's name. A wish is answered at once; `wait_ready` waits."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _get(self, path: str, kind: type[A], query: Mapping[str, Any] | None = None) -> A:
        return await self._transport.answer(Call(method="GET", path=path, query=to_query(query or {})), kind)

    async def _document(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An answer whose shape is not fixed here, as it came."""
        return await self._transport.document(Call(method="GET", path=path, query=to_query(query or {})))

    def _post(self, path: str, body: Mapping[str, Any], key: str | None = None) -> Call:
        """Every POST bears an Idempotency-Key, so that trying again after a lost answer is safe."""
        headers = {"Idempotency-Key": key or uuid4().hex}
        return Call(method="POST", path=path, body=body, headers=headers)

    async def create(
        self, name: str, *, idempotency_key: str | None = None, **options: Unpack[CreateOptions]
    ) -> Accepted:
        """Accept a new instance. The same `idempotency_key` and options within 24 h never make a second one."""
        call = self._post(INSTANCES, create_body(name, options), idempotency_key)
        return await self._transport.answer(call, Accepted)

    async def plan(self, name: str, **options: Unpack[CreateOptions]) -> Plan:
        """What `create` would do and cost, and why; a refusal is told in it. Changes nothing."""
        return await self._transport.answer(self._post(f"{INSTANCES}/plan", create_body(name, options)), Plan)

    async def list(self, **filters: Unpack[ListFilters]) -> InstanceList:
        """One page, newest first; `next_cursor` leads to the next."""
        return await self._get(INSTANCES, InstanceList, filters)

    async def all(self, **filters: Unpack[ListFilters]) -> AsyncIterator[Instance]:
        """Every instance that fits, page by page."""
        while True:
            page = await self.list(**filters)
            for instance in page.instances:
                yield instance
            if not page.next_cursor:
                return
            filters = {**filters, "cursor": page.next_cursor}

    async def comprehensive(
        self, *, include_novita_only: bool | None = None, sync_local_state: bool | None = None
    ) -> MergedList:
        """Our records merged with what the cloud lists."""
        query = {"include_novita_only": include_novita_only, "sync_local_state": sync_local_state}
        return await self._get(f"{INSTANCES}/comprehensive", MergedList, query)

    async def get(self, name: str) -> Instance:
        return await self._get(path_of(name), Instance)

    async def explain(self, name: str) -> Explanation:
        """Why it is as it is, what is waited for, and when its own policy stops it."""
        return await self._get(path_of(name, "explain"), Explanation)

    async def utilisation(self, name: str, *, hours: int | None = None) -> Utilisation:
        """How busy its GPUs were, as the cloud measures it, about a minute late; of the last hour if none is given."""
        return await self._get(path_of(name, "utilisation"), Utilisation, {"hours": hours})

    async def timeline(self, name: str, *, after: int | None = None, limit: int | None = None) -> EventPage:
        """Its events, oldest first; `next_after` leads to the next page."""
        return await self._get(path_of(name, "events"), EventPage, {"after": after, "limit": limit})

    async def update(self, name: str, **changes: Unpack[UpdateOptions]) -> Instance:
        """Change its policy; what is not named stays."""
        return await self._transport.answer(Call(method="PATCH", path=path_of(name), body=to_wire(changes)), Instance)

    async def pin(self, name: str, until: datetime | None) -> Instance:
        """Keep it from being stopped for idleness before then; None takes the pin away."""
        return await self.update(name, auto_stop={"pinned_until": until})

    async def start(self, name: str, **options: Unpack[StartOptions]) -> Accepted:
        return await self._wish(name, "start", options)

    async def stop(self, name: str, **options: Unpack[WishOptions]) -> Accepted:
        return await self._wish(name, "stop", options)

    async def restart(self, name: str, **options: Unpack[WishOptions]) -> Accepted:
        return await self._wish(name, "restart", options)

    async def delete(self, name: str, **options: Unpack[WishOptions]) -> Accepted:
        call = Call(method="DELETE", path=path_of(name), body=to_wire(options) or None)
        return await self._transport.answer(call, Accepted)

    async def _wish(self, name: str, wish: str, options: Mapping[str, Any]) -> Accepted:
        return await self._transport.answer(self._post(path_of(name, wish), to_wire(options)), Accepted)

    async def last_used(self, name: str, at: datetime | None = None) -> LastUsed:
        """Say that it is in use. Without `at`: now, by the service's clock."""
        body = {} if at is None else to_wire({"last_used_at": at})
        return await self._transport.answer(Call(method="PUT", path=path_of(name, "last-used"), body=body), LastUsed)

    @asynccontextmanager
    async def in_use(self, name: str, every: timedelta = HEARTBEAT) -> AsyncGenerator[Use]:
        """Keep it from being stopped for idleness, as long as the block runs.

        The first heartbeat must succeed. A later refused one ends them and is told in `lost`; the block goes on.
        """
        use = Use()
        await self.last_used(name)
        beating = asyncio.create_task(self._beat(name, every, use))
        try:
            yield use
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, name: str, every: timedelta, use: Use) -> None:
        while use.lost is None:
            await self._transport.sleep(every.total_seconds())
            try:
                await self.last_used(name)
            except NotReachable:
                continue  # the next beat is the retry
            except ApiError as error:
                if error.status < 500 and error.status != 429:
                    use.lost = error

    async def wait(
        self,
        name: str,
        wanted: Sequence[str] = ("ready",),
        *,
        timeout: timedelta = HOLD,
        after: int | None = None,
    ) -> Instance:
        """One held request: the instance once its status is wanted, or it has failed or is deleted.

        Raises `WaitTimeout` with the instance as it is. `after`: only what comes after this event counts.
        """
        query = {"for": wanted, "timeout_ms": max(1, round(timeout.total_seconds() * 1000)), "after": after}
        deadline = timeout + timedelta(seconds=15)  # the answer is on its way when the hold ends
        call = Call(method="GET", path=path_of(name, "wait"), query=to_query(query), timeout=deadline)
        return await self._transport.answer(call, Instance)

    async def watch(
        self, name: str, until: Sequence[str] = ("ready",), *, timeout: timedelta, after: int | None = None
    ) -> AsyncIterator[Instance]:
        """The instance at each change of its status, until it is as wanted, has failed or is deleted.

        Raises `WaitTimeout` when that takes longer than `timeout`.
        """
        time = asyncio.get_running_loop().time
        ends_at = time() + timeout.total_seconds()
        while True:
            left = timedelta(seconds=max(0.001, ends_at - time()))
            try:
                instance = await self.wait(name, STATUSES, timeout=min(left, HOLD), after=after)
            except WaitTimeout:
                if time() >= ends_at:
                    raise
                continue
            yield instance
            if instance.status in until or instance.status in OVER:
                return
            after = instance.sequence

    async def wait_ready(
        self, name: str, *, timeout: timedelta = timedelta(minutes=30), after: int | None = None
    ) -> Instance:
        """The instance once it is ready. Raises `InstanceFailed`, or `WaitTimeout` with the instance as it is."""
        return await self.wait_for(name, ("ready",), timeout=timeout, after=after)

    async def wait_for(
        self, name: str, wanted: Sequence[str], *, timeout: timedelta, after: int | None = None
    ) -> Instance:
        """As `wait_ready`, for any statuses; failed and deleted raise unless they are wanted."""
        ends_at = asyncio.get_running_loop().time() + timeout.total_seconds()
        while True:
            left = timedelta(seconds=max(0.001, ends_at - asyncio.get_running_loop().time()))
            try:
                instance = await self.wait(name, wanted, timeout=min(left, HOLD), after=after)
            except WaitTimeout:
                if left <= HOLD:
                    raise
                continue
            if instance.status in wanted:
                return instance
            raise InstanceFailed(instance)

    async def auto_stop_stats(self) -> AutoStopStats:
        """The check for idle instances: when it runs, what it found last, what it has saved."""
        return await self._get(f"{INSTANCES}/auto-stop/stats", AutoStopStats)

    async def auto_stop_trigger(self, *, dry_run: bool = True) -> Triggered:
        """Run the check now. A dry run stops nothing."""
        call = self._post(f"{INSTANCES}/auto-stop/trigger", to_wire({"dry_run": dry_run}))
        return await self._transport.answer(call, Triggered)

    async def stop_all(self, *, dry_run: bool = False) -> Bulk:
        """Stop everything that bills."""
        call = self._post(f"{INSTANCES}/stop-all", to_wire({"dry_run": dry_run}))
        return await self._transport.answer(call, Bulk)

    async def sync(self, **options: Unpack[SyncOptions]) -> Synced:
        """Compare with the cloud now: what came, changed and went, and what bills for nobody."""
        return await self._transport.answer(self._post(f"{INSTANCES}/sync", to_wire(options)), Synced)

    async def migration_status(self) -> RecoveryStatus:
        """What is being brought back, and what came back last."""
        return await self._get(f"{INSTANCES}/migration/status", RecoveryStatus)

    async def migration_trigger(self, *, dry_run: bool = False) -> RecoveryReport:
        """Look after reclaimed spot machines now."""
        call = self._post(f"{INSTANCES}/migration/trigger", to_wire({"dry_run": dry_run}))
        return await self._transport.answer(call, RecoveryReport)

    async def migration_check_failed(self, *, dry_run: bool = False) -> FailedMigrations:
        """Find migrations of our machines that failed, whoever began them."""
        call = self._post(f"{INSTANCES}/migration/check-failed", to_wire({"dry_run": dry_run}))
        return await self._transport.answer(call, FailedMigrations)
