"""What is spent, and what would be."""

from typing import Any

from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import asked, given
from novita_gpu.api.routes.catalogue import OF_CLOUD
from novita_gpu.api.routes.instances import CREATE_EXAMPLES
from novita_gpu.contract import CreateInstance, encode
from novita_gpu.contract.costs import CostsQuery, CostsView, HistoryQuery, HistoryView, PlanView
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]


@post(
    "/api/instances/plan",
    status_code=200,
    operation=Operation(
        id="planInstance",
        summary="What create would do and cost, and why; nothing is changed",
        tag="Instances",
        scope=Scope.READ,
        body=CreateInstance,
        body_required=True,
        examples=CREATE_EXAMPLES,
        answers={200: PlanView},
        problems=("TEMPLATE_NOT_FOUND", "PRODUCT_NOT_FOUND", "REGISTRY_AUTH_NOT_FOUND", *OF_CLOUD),
    ),
)
async def plan(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Answered:
        return plain(await desk_of(request).parts.planner.plan(await given(request, CreateInstance), caller.owner))

    return await once(request, act)


@get(
    "/api/costs",
    operation=Operation(
        id="getCosts",
        summary="What was spent on each instance and in all, what bills now, and how long the balance lasts",
        tag="Costs",
        scope=Scope.READ,
        query=CostsQuery,
        answers={200: CostsView},
    ),
)
async def costs(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.costs.costs(asked(request, CostsQuery))))


@get(
    "/api/costs/history",
    operation=Operation(
        id="getCostsHistory",
        summary="How many instances ran and what they cost an hour, over time",
        tag="Costs",
        scope=Scope.READ,
        query=HistoryQuery,
        answers={200: HistoryView},
    ),
)
async def history(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(desk_of(request).parts.costs.history(asked(request, HistoryQuery))))


ROUTES = (plan, costs, history)
