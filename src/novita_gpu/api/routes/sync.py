"""Comparison with the cloud, now."""

from typing import Any

from litestar import Request, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given
from novita_gpu.contract import SyncReport, SyncRequest
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]


@post(
    "/api/instances/sync",
    status_code=200,
    operation=Operation(
        id="syncInstances",
        summary="Compare with the cloud now; adopt, remove orphans, confirm what is gone",
        tag="Instances",
        scope=Scope.ADMIN,
        body=SyncRequest,
        examples={
            "look": {"dryRun": True},
            "adopt": {"adopt": ["00aa11bb22cc33dd"]},
            "goOn": {"confirmGone": True},
        },
        answers={200: SyncReport},
        problems=("NOVITA_API_ERROR", "NOVITA_AUTH_FAILED", "CIRCUIT_BREAKER_OPEN", "NOVITA_TIMEOUT"),
    ),
)
async def sync(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Answered:
        body = await given(request, SyncRequest)
        return plain(await desk_of(request).parts.sync.sync(body, caller))

    return await once(request, act)


ROUTES = (sync,)
