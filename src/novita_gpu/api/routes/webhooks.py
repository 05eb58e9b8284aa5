"""Webhooks: what was sent and what came of it, sending again, and tests."""

from typing import Any

from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import asked, given
from novita_gpu.contract import encode, time_text
from novita_gpu.contract.webhooks import (
    AddEndpoint,
    AttemptView,
    DeliveriesQuery,
    DeliveryList,
    DeliveryView,
    PatchEndpoint,
    ReplayedView,
    ReplayRange,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointSecret,
    WebhookTest,
    WebhookTested,
)
from novita_gpu.control.commands import Caller
from novita_gpu.store.base import Delivery
from novita_gpu.webhooks.outbox import Wanted

Asked = Request[Any, Any, Any]
TAG = "Webhooks"


@get(
    "/api/webhooks/deliveries",
    operation=Operation(
        id="listDeliveries",
        summary="What was sent to receivers, with each try and its answer, newest first",
        tag=TAG,
        scope=Scope.READ,
        query=DeliveriesQuery,
        answers={200: DeliveryList},
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def deliveries(request: Asked) -> ASGIResponse:
    desk, query = desk_of(request), asked(request, DeliveriesQuery)
    wanted = await _wanted(desk, query)
    page, cursor = await desk.parts.outbox.page(wanted, query.limit, query.cursor)
    return ASGIResponse(body=encode(DeliveryList(deliveries=tuple(map(_view, page)), next_cursor=cursor)))


@post(
    "/api/webhooks/deliveries/{id:str}/replay",
    status_code=202,
    operation=Operation(
        id="replayDelivery",
        summary="Send one again, now",
        tag=TAG,
        scope=Scope.ADMIN,
        answers={202: DeliveryView},
        problems=("NOT_FOUND", "VALIDATION_ERROR"),
    ),
)
async def replay(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        delivery = await desk_of(request).parts.outbox.replay(_id(request))
        return plain(_view(delivery), 202)

    return await once(request, act)


@post(
    "/api/webhooks/deliveries/replay",
    status_code=202,
    operation=Operation(
        id="replayDeliveries",
        summary="Send again what was sent in a span of time",
        tag=TAG,
        scope=Scope.ADMIN,
        body=ReplayRange,
        body_required=True,
        examples={
            "whatFailed": {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T18:00:00Z", "status": ["exhausted"]}
        },
        answers={202: ReplayedView},
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def replay_range(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        desk, body = desk_of(request), await given(request, ReplayRange)
        count = await desk.parts.outbox.replay_range(await _wanted(desk, body), body.since, body.until)
        return plain(ReplayedView(count=count, message=f"{count} will be sent again."), 202)

    return await once(request, act)


@post(
    "/api/webhooks/test",
    status_code=202,
    operation=Operation(
        id="testWebhook",
        summary="Send a test event",
        tag=TAG,
        scope=Scope.ADMIN,
        body=WebhookTest,
        answers={202: WebhookTested},
        problems=("WEBHOOK_URL_REFUSED",),
    ),
)
async def test(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Answered:
        body = await given(request, WebhookTest)
        event, sent = await desk_of(request).parts.outbox.test(body.url, caller.cause)
        message = f"Sent to {', '.join(delivery.host for delivery in sent)}; its deliveries say what came of it."
        view = WebhookTested(
            event_id=event.id, sequence=event.sequence, deliveries=tuple(map(_view, sent)), message=message
        )
        return plain(view, 202)

    return await once(request, act)


@get(
    "/api/webhooks/endpoints",
    operation=Operation(
        id="listEndpoints",
        summary="Registered receivers, without their secrets",
        tag=TAG,
        scope=Scope.ADMIN,
        answers={200: WebhookEndpointList},
    ),
)
async def endpoints(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.registry.list()))


@post(
    "/api/webhooks/endpoints",
    operation=Operation(
        id="addEndpoint",
        summary="Register a receiver; its secret is answered this once",
        tag=TAG,
        scope=Scope.ADMIN,
        body=AddEndpoint,
        body_required=True,
        examples={
            "everything": {"url": "https://example.com/hook"},
            "some": {"url": "https://example.com/hook", "types": ["instance.ready", "instance.failed"]},
        },
        answers={201: WebhookEndpointSecret},
        problems=("WEBHOOK_URL_REFUSED", "LIMIT_REACHED"),
    ),
)
async def add(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        body = await given(request, AddEndpoint)
        return plain(await desk_of(request).parts.registry.add(body), 201)

    return await once(request, act)


@patch(
    "/api/webhooks/endpoints/{id:str}",
    operation=Operation(
        id="changeEndpoint",
        summary="Change its address or filter; switch it off or on",
        tag=TAG,
        scope=Scope.ADMIN,
        body=PatchEndpoint,
        examples={"off": {"enabled": False}},
        answers={200: WebhookEndpoint},
        problems=("NOT_FOUND", "WEBHOOK_URL_REFUSED"),
    ),
)
async def change(request: Asked) -> ASGIResponse:
    body = await given(request, PatchEndpoint)
    return ASGIResponse(body=encode(await desk_of(request).parts.registry.change(_id(request), body)))


@delete(
    "/api/webhooks/endpoints/{id:str}",
    status_code=200,
    operation=Operation(
        id="removeEndpoint",
        summary="Remove it; nothing more is sent to it",
        tag=TAG,
        scope=Scope.ADMIN,
        answers={200: WebhookEndpoint},
        problems=("NOT_FOUND",),
    ),
)
async def remove(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.registry.remove(_id(request))))


@post(
    "/api/webhooks/endpoints/{id:str}/rotate",
    status_code=200,
    operation=Operation(
        id="rotateEndpoint",
        summary="Give it a new secret, answered this once; the one before signs too for 24 h",
        tag=TAG,
        scope=Scope.ADMIN,
        answers={200: WebhookEndpointSecret},
        problems=("NOT_FOUND", "VALIDATION_ERROR"),
    ),
)
async def rotate(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        return plain(await desk_of(request).parts.registry.rotate(_id(request)))

    return await once(request, act)


def _id(request: Asked) -> str:
    return str(request.path_params["id"])


async def _wanted(desk: Desk, query: DeliveriesQuery | ReplayRange) -> Wanted:
    return Wanted(
        states=frozenset(query.status),
        instance=(await desk.found(query.instance_id)).id if query.instance_id else None,
        type=query.type,
        host=query.host.lower() if query.host else None,
    )


def _view(delivery: Delivery) -> DeliveryView:
    is_open = delivery.state == "pending"
    return DeliveryView(
        id=delivery.id,
        event_id=delivery.event_id,
        type=delivery.type,
        sequence=delivery.sequence,
        status=delivery.state,
        host=delivery.host,
        instance_id=delivery.instance_id,
        endpoint_id=delivery.endpoint_id,
        created_at=time_text(delivery.created_at),
        next_try_at=time_text(delivery.due) if is_open else None,
        attempts=tuple(
            AttemptView(
                at=time_text(made.at),
                duration_ms=made.duration_ms,
                status_code=made.status_code,
                error=made.error,
                answer=made.answer,
            )
            for made in delivery.tries
        ),
    )


ROUTES = (deliveries, replay, replay_range, test, endpoints, add, change, remove, rotate)
