"""Recovery of machines that were taken: its state, and checks at a person's wish."""

from typing import Any

from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given
from novita_gpu.contract import encode
from novita_gpu.contract.recovery import FailedReport, RecoveryReport, RecoveryStatus, RecoveryTrigger
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]
TAG = "Recovery"
_CLOUD = ("NOVITA_API_ERROR", "NOVITA_AUTH_FAILED", "CIRCUIT_BREAKER_OPEN", "NOVITA_TIMEOUT")


@get(
    "/api/instances/migration/status",
    operation=Operation(
        id="getRecoveryStatus",
        summary="What is being brought back, and what came back last",
        tag=TAG,
        scope=Scope.READ,
        answers={200: RecoveryStatus},
    ),
)
async def state(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.recoveries.status()))


@post(
    "/api/instances/migration/trigger",
    status_code=200,
    operation=Operation(
        id="triggerRecovery",
        summary="Look after machines that were taken now",
        tag=TAG,
        scope=Scope.ADMIN,
        body=RecoveryTrigger,
        answers={200: RecoveryReport},
    ),
)
async def trigger(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        body = await given(request, RecoveryTrigger)
        return plain(await desk_of(request).parts.recoveries.trigger(dry_run=body.dry_run))

    return await once(request, act)


@post(
    "/api/instances/migration/check-failed",
    status_code=200,
    operation=Operation(
        id="checkFailedMigrations",
        summary="Find migrations of our machines that failed, whoever began them",
        tag=TAG,
        scope=Scope.ADMIN,
        body=RecoveryTrigger,
        answers={200: FailedReport},
        problems=_CLOUD,
    ),
)
async def check_failed(request: Asked) -> ASGIResponse:
    async def act(_: Caller) -> Answered:
        body = await given(request, RecoveryTrigger)
        return plain(await desk_of(request).parts.recoveries.check_failed(dry_run=body.dry_run))

    return await once(request, act)


ROUTES = (state, trigger, check_failed)
