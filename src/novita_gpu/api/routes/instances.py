"""Instances: made, listed, read, changed, kept in use; and all of them stopped."""

from typing import Any

from litestar import Request, get, patch, post, put
from litestar.response.base import ASGIResponse
from msgspec.structs import replace

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.guard import caller_of, may
from novita_gpu.api.once import once, plain, wish
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.prepared import etag_of, tagged
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given, ref_of
from novita_gpu.contract import (
    Accepted,
    BulkView,
    CreateInstance,
    InstanceView,
    LastUsed,
    LastUsedView,
    Outcome,
    PatchInstance,
    StopAll,
    encode,
    time_text,
)
from novita_gpu.control.commands import Caller
from novita_gpu.domain.instance import Record

Asked = Request[Any, Any, Any]

TAG = "Instances"
CREATE_EXAMPLES = {
    "fromImage": {
        "name": "trainer-1",
        "productName": "RTX 4090 24GB",
        "imageUrl": "docker.io/library/ubuntu:22.04",
        "ports": [{"port": 8080, "type": "http"}],
        "autoStop": {"idleMinutes": 30},
    },
    "spotFromTemplate": {
        "name": "batch-7",
        "productId": "4090.16c62g",
        "templateId": 312,
        "billingMode": "spot",
        "maxPricePerHour": "0.2500",
        "recovery": {"onReclaim": "migrate"},
    },
}


def instance_answer(desk: Desk, record: Record) -> ASGIResponse:
    """One instance without secrets."""
    body = desk.body(record)
    return ASGIResponse(body=body, headers={"etag": etag_of(body)})


@post(
    "/api/instances",
    operation=Operation(
        id="createInstance",
        summary="Accept a new instance",
        tag=TAG,
        scope=Scope.ADMIN,
        body=CreateInstance,
        body_required=True,
        examples=CREATE_EXAMPLES,
        answers={201: Accepted},
        problems=(
            "INSTANCE_ALREADY_EXISTS",
            "TEMPLATE_NOT_FOUND",
            "PRODUCT_NOT_FOUND",
            "REGISTRY_AUTH_NOT_FOUND",
            "LIMIT_REACHED",
            "NO_OFFER",
            "PRICE_TOO_HIGH",
            "WEBHOOK_URL_REFUSED",
            "NOVITA_API_ERROR",
            "NOVITA_AUTH_FAILED",
            "CIRCUIT_BREAKER_OPEN",
            "NOVITA_TIMEOUT",
        ),
    ),
)
async def create(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        return await desk_of(request).parts.commands.create(await given(request, CreateInstance), caller)

    return await wish(request, act)


@get(
    "/api/instances/{id:str}",
    operation=Operation(
        id="getInstance",
        summary="One instance",
        tag=TAG,
        scope=Scope.READ,
        answers={200: InstanceView, 304: InstanceView},
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def read(request: Asked) -> ASGIResponse:
    """The password too, for who may operate; 304 when the caller has it as it is."""
    desk = desk_of(request)
    record = await desk.found(ref_of(request))
    return tagged(request, desk.body(record, secrets=may(request, Scope.OPERATE)))


@patch(
    "/api/instances/{id:str}",
    operation=Operation(
        id="patchInstance",
        summary="Change its policy; what is left out stays",
        tag=TAG,
        scope=Scope.OPERATE,
        body=PatchInstance,
        examples={"pin": {"autoStop": {"pinnedUntil": "2026-01-31T12:00:00.000Z"}}},
        answers={200: InstanceView},
        problems=("INSTANCE_NOT_FOUND", "INSTANCE_NOT_RUNNING", "WEBHOOK_URL_REFUSED"),
    ),
)
async def change(request: Asked) -> ASGIResponse:
    desk = desk_of(request)
    record = await desk.parts.commands.patch(ref_of(request), await given(request, PatchInstance), caller_of(request))
    return instance_answer(desk, record)


@put(
    "/api/instances/{id:str}/last-used",
    operation=Operation(
        id="touchInstance",
        summary="It is in use",
        tag=TAG,
        scope=Scope.OPERATE,
        body=LastUsed,
        answers={200: LastUsedView},
        problems=("INSTANCE_NOT_FOUND", "INSTANCE_NOT_RUNNING"),
    ),
)
async def touch(request: Asked) -> ASGIResponse:
    body, parts = await given(request, LastUsed), desk_of(request).parts
    record, latest = await parts.commands.touch(ref_of(request), body.at, body.last_used_at)
    moved = latest <= (body.at or parts.now())
    view = LastUsedView(
        instance_id=record.id,
        last_used_at=time_text(latest),
        message="Recorded." if moved else "A later time is known already; it stands.",
    )
    return ASGIResponse(body=encode(view))


@post(
    "/api/instances/stop-all",
    status_code=202,
    operation=Operation(
        id="stopAllInstances",
        summary="Stop all that may bill",
        tag=TAG,
        scope=Scope.ADMIN,
        body=StopAll,
        answers={202: BulkView},
    ),
)
async def stop_all(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Answered:
        body = await given(request, StopAll)
        rows = await desk_of(request).parts.commands.stop_all(dry_run=body.dry_run, caller=replace(caller, claim=None))
        return plain(BulkView(count=len(rows), results=tuple(rows)), status=202)

    return await once(request, act)


ROUTES = (create, read, change, touch, stop_all)
