"""What a person may wish of an instance: start, stop, restart, delete, by path or by name in the body."""

from typing import Any

from litestar import Request, delete, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import wish
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.reading import given, ref_of
from novita_gpu.contract import Accepted, Outcome, StartByName, StartInstance, WishBody, WishByName
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]

TAG = "Instances"
ACCEPTED = {200: Accepted, 202: Accepted}
_HERE = ("INSTANCE_NOT_FOUND",)
_RECEIVER = ("WEBHOOK_URL_REFUSED",)


def _wish(name: str, summary: str, refusal: str, *, scope: Scope = Scope.OPERATE, body: Any = WishBody) -> Operation:
    return Operation(
        id=name,
        summary=summary,
        tag=TAG,
        scope=scope,
        answers=ACCEPTED,
        body=body,
        body_required=body in (StartByName, WishByName),
        problems=(*_HERE, refusal, *_RECEIVER),
    )


@post(
    "/api/instances/{id:str}/start",
    operation=_wish("startInstance", "Start it", "INSTANCE_NOT_STARTABLE", body=StartInstance),
)
async def start(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        return await desk_of(request).parts.commands.start(ref_of(request), await given(request, StartInstance), caller)

    return await wish(request, act)


@post(
    "/api/instances/start",
    operation=_wish("startInstanceByName", "Start it, named in the body", "INSTANCE_NOT_STARTABLE", body=StartByName),
)
async def start_by_name(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        body = await given(request, StartByName)
        return await desk_of(request).parts.commands.start(body.instance_name, body, caller)

    return await wish(request, act)


@post("/api/instances/{id:str}/stop", operation=_wish("stopInstance", "Stop it", "INSTANCE_NOT_STOPPABLE"))
async def stop(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        return await desk_of(request).parts.commands.stop(ref_of(request), await given(request, WishBody), caller)

    return await wish(request, act)


@post(
    "/api/instances/stop",
    operation=_wish("stopInstanceByName", "Stop it, named in the body", "INSTANCE_NOT_STOPPABLE", body=WishByName),
)
async def stop_by_name(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        body = await given(request, WishByName)
        return await desk_of(request).parts.commands.stop(body.instance_name, body, caller)

    return await wish(request, act)


@post("/api/instances/{id:str}/restart", operation=_wish("restartInstance", "Restart it", "INSTANCE_NOT_RUNNING"))
async def restart(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        return await desk_of(request).parts.commands.restart(ref_of(request), await given(request, WishBody), caller)

    return await wish(request, act)


@delete(
    "/api/instances/{id:str}",
    status_code=202,
    operation=_wish("deleteInstance", "Delete it, for good", "INSTANCE_NOT_RUNNING", scope=Scope.ADMIN),
)
async def remove(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        return await desk_of(request).parts.commands.delete(ref_of(request), await given(request, WishBody), caller)

    return await wish(request, act)


@post(
    "/api/instances/delete",
    operation=_wish(
        "deleteInstanceByName",
        "Delete it, named in the body",
        "INSTANCE_NOT_RUNNING",
        scope=Scope.ADMIN,
        body=WishByName,
    ),
)
async def remove_by_name(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Outcome:
        body = await given(request, WishByName)
        return await desk_of(request).parts.commands.delete(body.instance_name, body, caller)

    return await wish(request, act)


ROUTES = (start, start_by_name, stop, stop_by_name, restart, remove, remove_by_name)
