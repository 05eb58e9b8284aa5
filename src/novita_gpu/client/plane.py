"""The calls that are not about one instance: catalogue, costs, events, webhooks, keys, cache, metrics, health."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from novita_gpu.client.answers import Event, EventPage
from novita_gpu.client.api_keys import Key, KeyList, NewKey
from novita_gpu.client.catalogue import ProductList, RegionList, TemplateAnswer, TemplateList
from novita_gpu.client.costs import Costs, CostsHistory
from novita_gpu.client.instances import InstanceCalls
from novita_gpu.client.options import (
    BillingMode,
    DeliveryFilters,
    EndpointChanges,
    KeyOptions,
    Scope,
    WhichDeliveries,
    to_query,
    to_wire,
)
from novita_gpu.client.settings import SettingList
from novita_gpu.client.stream import follow
from novita_gpu.client.transport import Call, part
from novita_gpu.client.webhooks import (
    Delivery,
    DeliveryList,
    Replayed,
    Tested,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointSecret,
)

EVENTS = "/api/events"
PAGE = 1000
ENDPOINTS = "/api/webhooks/endpoints"
DELIVERIES = "/api/webhooks/deliveries"
KEYS = "/api/keys"
STREAM = {"Accept": "text/event-stream"}


class PlaneCalls(InstanceCalls):
    """Answers whose shape may grow are dictionaries, as they came."""

    async def events(
        self,
        *,
        follow: bool = False,
        after: int | None = None,
        type: str | None = None,  # noqa: A002 — the name of the filter
        instance: str | None = None,
    ) -> AsyncIterator[Event]:
        """The event log, oldest first. With `follow` it goes on as things happen, without a gap or a repetition.

        Without `after` a followed log begins now, else after that sequence.
        """
        query = {"after": after, "type": type, "instance_id": instance and await self._id_of(instance)}
        async for event in self._followed(query) if follow else self._paged(query):
            yield event

    async def _id_of(self, instance: str) -> str:
        return instance if instance.startswith("ins_") else (await self.get(instance)).id

    def _followed(self, query: Mapping[str, Any]) -> AsyncIterator[Event]:
        return follow(self._transport, Call(method="GET", path=EVENTS, query=to_query(query), headers=STREAM))

    async def _paged(self, query: Mapping[str, Any]) -> AsyncIterator[Event]:
        after = query["after"]
        while True:
            page = await self._get(EVENTS, EventPage, {**query, "after": after, "limit": PAGE})
            for event in page.events:
                yield event
            if page.next_after is None or page.next_after == after:
                return
            after = page.next_after

    async def products(self, *, region: str | None = None, billing_mode: BillingMode | None = None) -> ProductList:
        """What is sold, with prices and stock; with `region` only what is sold there, with the stock of there."""
        return await self._get("/api/products", ProductList, {"region": region, "billing_mode": billing_mode})

    async def regions(self) -> RegionList:
        """Regions by priority, what they have, and what was met empty."""
        return await self._get("/api/regions", RegionList)

    async def templates(self) -> TemplateList:
        """The cloud's templates and the account's own."""
        return await self._get("/api/templates", TemplateList)

    async def template(self, template_id: str | int) -> TemplateAnswer:
        return await self._get(f"/api/templates/{part(str(template_id))}", TemplateAnswer)

    async def costs(
        self, *, since: datetime | None = None, until: datetime | None = None, limit: int | None = None
    ) -> Costs:
        """What was spent between two times, and what bills now. None given: as long as deleted instances are kept.

        `limit`: told of so many instances, the dearest.
        """
        return await self._get("/api/costs", Costs, {"since": since, "until": until, "limit": limit})

    async def costs_history(
        self, *, since: datetime | None = None, until: datetime | None = None, points: int | None = None
    ) -> CostsHistory:
        """How many ran and what they cost an hour, at moments between two times; of the last day if none is given."""
        return await self._get("/api/costs/history", CostsHistory, {"since": since, "until": until, "points": points})

    async def settings(self) -> SettingList:
        """The settings in force. Secrets are stars."""
        return await self._get("/api/settings", SettingList)

    async def deliveries(self, **filters: Unpack[DeliveryFilters]) -> DeliveryList:
        """One page of what was sent to receivers, with tries and answers, newest first."""
        return await self._get(DELIVERIES, DeliveryList, filters)

    async def replay(self, delivery: str) -> Delivery:
        """Send one delivery again, now."""
        return await self._transport.answer(self._post(f"{DELIVERIES}/{part(delivery)}/replay", {}), Delivery)

    async def replay_range(self, since: datetime, until: datetime, **which: Unpack[WhichDeliveries]) -> Replayed:
        """Send again what has ended of events between two times."""
        body = to_wire({"since": since, "until": until, **which})
        return await self._transport.answer(self._post(f"{DELIVERIES}/replay", body), Replayed)

    async def test_webhook(self, url: str | None = None) -> Tested:
        """Send a test event: to this address, else to all who are told of everything."""
        body = {} if url is None else {"url": url}
        return await self._transport.answer(self._post("/api/webhooks/test", body), Tested)

    async def endpoints(self) -> WebhookEndpointList:
        """Registered receivers, without their secrets."""
        return await self._get(ENDPOINTS, WebhookEndpointList)

    async def add_endpoint(self, url: str, *, types: Sequence[str] = ()) -> WebhookEndpointSecret:
        """Register a receiver of every event, or of these types. Its secret is told this once."""
        body = {"url": url, **({"types": list(types)} if types else {})}
        return await self._transport.answer(self._post(ENDPOINTS, body), WebhookEndpointSecret)

    async def update_endpoint(self, endpoint: str, **changes: Unpack[EndpointChanges]) -> WebhookEndpoint:
        """Change it, switch it off or on; what is not named stays."""
        call = Call(method="PATCH", path=f"{ENDPOINTS}/{part(endpoint)}", body=to_wire(changes))
        return await self._transport.answer(call, WebhookEndpoint)

    async def remove_endpoint(self, endpoint: str) -> WebhookEndpoint:
        call = Call(method="DELETE", path=f"{ENDPOINTS}/{part(endpoint)}")
        return await self._transport.answer(call, WebhookEndpoint)

    async def rotate_endpoint(self, endpoint: str) -> WebhookEndpointSecret:
        """A new secret, told this once; the one before signs too for a day."""
        return await self._transport.answer(
            self._post(f"{ENDPOINTS}/{part(endpoint)}/rotate", {}), WebhookEndpointSecret
        )

    async def keys(self) -> KeyList:
        """Keys of the API, without the keys themselves."""
        return await self._get(KEYS, KeyList)

    async def add_key(self, name: str, scopes: Sequence[Scope], **options: Unpack[KeyOptions]) -> NewKey:
        """A new key. It is told this once."""
        body = to_wire({"name": name, "scopes": list(scopes), **options})
        return await self._transport.answer(self._post(KEYS, body), NewKey)

    async def revoke_key(self, key_id: str) -> Key:
        """It lets nobody in any more, and what it holds open ends."""
        return await self._transport.answer(Call(method="DELETE", path=f"{KEYS}/{part(key_id)}"), Key)

    async def cache_stats(self) -> dict[str, Any]:
        return await self._document("/api/cache/stats")

    async def clear_cache(self, name: str | None = None) -> dict[str, Any]:
        return await self._do("POST", "/api/cache/clear", {} if name is None else {"cache_name": name})

    async def metrics(self) -> dict[str, Any]:
        return await self._document("/api/metrics")

    async def metrics_summary(self) -> dict[str, Any]:
        return await self._document("/api/metrics/summary")

    async def health(self) -> dict[str, Any]:
        """The verdict, also when it is unhealthy."""
        return await self._transport.document(Call(method="GET", path="/health", accepts=(503,)))

    async def _do(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if method == "POST":
            return await self._transport.document(self._post(path, to_wire(body or {})))
        wired = None if body is None else to_wire(body)
        return await self._transport.document(Call(method=method, path=path, body=wired))
