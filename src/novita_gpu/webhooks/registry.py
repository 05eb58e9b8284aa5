"""Registered endpoints as people see and change them. A secret is told where it is made, and never again."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from novita_gpu.contract import time_text
from novita_gpu.contract.webhooks import (
    AddEndpoint,
    PatchEndpoint,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointSecret,
)
from novita_gpu.domain.endpoint import Endpoint, rotated, switched
from novita_gpu.domain.errors import Missing, Refused
from novita_gpu.store.base import Full, Stale
from novita_gpu.store.endpoints import MOST, Endpoints

# Losing that often means that somebody changes it in a loop.
TRIES = 5


class Registry:
    """`check` judges an address and raises `Refused`; `new_secret` makes a `whsec_…`."""

    def __init__(
        self,
        *,
        endpoints: Endpoints,
        check: Callable[[str], Awaitable[None]],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._endpoints, self._check = endpoints, check
        self._now, self._new_id, self._new_secret = now, new_id, new_secret

    async def list(self) -> WebhookEndpointList:
        return WebhookEndpointList(endpoints=tuple(map(self._view, await self._endpoints.all())))

    async def add(self, request: AddEndpoint) -> WebhookEndpointSecret:
        """Every event from now on that passes its filter is for it."""
        await self._check(request.url)
        now = self._now()
        made = Endpoint(
            id=self._new_id("whe"),
            url=request.url,
            types=request.types,
            secret=self._new_secret(),
            created_at=now,
            updated_at=now,
        )
        try:
            return self._with_secret(await self._endpoints.add(made))
        except Full:
            raise Refused("LIMIT_REACHED", f"There are {MOST} endpoints; remove one first.") from None

    async def change(self, endpoint_id: str, request: PatchEndpoint) -> WebhookEndpoint:
        """What is left out stays."""
        if request.url:
            await self._check(request.url)

        def changed(before: Endpoint) -> Endpoint:
            types = before.types if request.types is None else request.types
            after = replace(before, url=request.url or before.url, types=types)
            after = after if request.enabled is None else switched(after, self._now(), on=request.enabled)
            return before if after == before else replace(after, updated_at=self._now())

        return self._view(await self._saved(endpoint_id, changed))

    async def rotate(self, endpoint_id: str) -> WebhookEndpointSecret:
        """A new secret; the one before signs too for a day."""
        secret = self._new_secret()
        return self._with_secret(await self._saved(endpoint_id, lambda before: rotated(before, secret, self._now())))

    async def remove(self, endpoint_id: str) -> WebhookEndpoint:
        """What is still on its way to it ends at its next try."""
        known = await self._known(endpoint_id)
        await self._endpoints.remove(endpoint_id)
        return self._view(known)

    async def _saved(self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        for _ in range(TRIES):
            before = await self._known(endpoint_id)
            after = change(before)
            try:
                return before if after == before else await self._endpoints.save(after)
            except Stale:
                continue
        raise Stale(f"endpoint {endpoint_id} moved on {TRIES} times while it was being changed")

    async def _known(self, endpoint_id: str) -> Endpoint:
        endpoint = await self._endpoints.load(endpoint_id)
        if endpoint is None:
            raise Missing("NOT_FOUND", f"There is no endpoint {endpoint_id}.")
        return endpoint

    def _view(self, endpoint: Endpoint) -> WebhookEndpoint:
        return WebhookEndpoint(**self._facts(endpoint))

    def _with_secret(self, endpoint: Endpoint) -> WebhookEndpointSecret:
        return WebhookEndpointSecret(**self._facts(endpoint), secret=endpoint.secret)

    def _facts(self, endpoint: Endpoint) -> dict[str, Any]:
        """What may be shown of it at any time."""
        is_rotating = len(endpoint.secrets(self._now())) > 1
        return {
            "id": endpoint.id,
            "url": endpoint.url,
            "types": endpoint.types,
            "enabled": endpoint.enabled,
            "off_reason": endpoint.off_reason,
            "failing_since": _time(endpoint.failing_since),
            "secret_before_until": _time(endpoint.before_until) if is_rotating else None,
            "created_at": time_text(endpoint.created_at),
            "updated_at": time_text(endpoint.updated_at),
        }


def _time(at: datetime | None) -> str | None:
    return at and time_text(at)
