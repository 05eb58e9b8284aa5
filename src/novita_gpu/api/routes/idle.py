"""Auto-stop: what the check found, a check at a person's wish, and why an instance is as it is."""

from typing import Any

from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given, ref_of
from novita_gpu.contract import encode
from novita_gpu.contract.idle import AutoStopStats, ExplainView, Trigger, TriggerView
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]
TAG = "Auto-stop"


@get(
    "/api/instances/auto-stop/stats",
    operation=Operation(
        id="getAutoStopStats",
        summary="The check for idle instances, and what it has saved",
        tag=TAG,
        scope=Scope.READ,
        answers={200: AutoStopStats},
    ),
)
async def stats(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.idle_check.stats()))


@post(
    "/api/instances/auto-stop/trigger",
    status_code=200,
    operation=Operation(
        id="triggerAutoStop",
        summary="Check for idle instances now; by default only say what would be done",
        tag=TAG,
        scope=Scope.ADMIN,
        body=Trigger,
        answers={200: TriggerView},
    ),
)
async def trigger(request: Asked) -> ASGIResponse:
    """A dry run writes nothing. Without one, instances that are due are warned or stopped by their passes."""

    async def act(_: Caller) -> Answered:
        body = await given(request, Trigger)
        return plain(await desk_of(request).parts.idle_check.check(dry_run=body.dry_run))

    return await once(request, act)


@get(
    "/api/instances/{id:str}/explain",
    operation=Operation(
        id="explainInstance",
        summary="Why it is as it is, and when it is stopped by what",
        tag=TAG,
        scope=Scope.READ,
        answers={200: ExplainView},
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def explain(request: Asked) -> ASGIResponse:
    desk = desk_of(request)
    record = await desk.found(ref_of(request))
    return ASGIResponse(body=encode(await desk.parts.explainer.explain(record)))


ROUTES = (stats, trigger, explain)
