"""What is remembered of the cloud, and forgetting it. Records, events and deliveries are no caches."""

from typing import Any

from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given
from novita_gpu.contract import encode
from novita_gpu.contract.caches import CacheCleared, CacheStatsAnswer, ClearCache
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]
TAG = "Health"


@get(
    "/api/cache/stats",
    operation=Operation(
        id="getCacheStats",
        summary="What is remembered, how old it is, and how often it helped, in the process that answers",
        tag=TAG,
        scope=Scope.READ,
        answers={200: CacheStatsAnswer},
    ),
)
async def stats(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(desk_of(request).parts.caches.stats()))


@post(
    "/api/cache/clear",
    status_code=200,
    operation=Operation(
        id="clearCache",
        summary="Forget one cache, or all: here at once, in other processes with their next check of health",
        tag=TAG,
        scope=Scope.ADMIN,
        body=ClearCache,
        answers={200: CacheCleared},
        problems=("CACHE_NOT_FOUND",),
    ),
)
async def clear(request: Asked) -> ASGIResponse:
    """Touches no record, event or delivery: these are no caches."""

    async def act(_: Caller) -> Answered:
        body = await given(request, ClearCache)
        return plain(await desk_of(request).parts.caches.clear(body.cache_name))

    return await once(request, act)


ROUTES = (stats, clear)
