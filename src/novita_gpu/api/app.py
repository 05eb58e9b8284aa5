"""The application: every route, behind the guard, with every error as the public envelope."""

from collections.abc import Iterable
from functools import partial
from http import HTTPMethod
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from novita_gpu.api.body import MAX_BODY
from novita_gpu.api.desk import Desk, Parts
from novita_gpu.api.edge import Edge, ids_of
from novita_gpu.api.gate import Gate, routes_of
from novita_gpu.api.guard import guard
from novita_gpu.api.openapi import document
from novita_gpu.api.pages import Pages
from novita_gpu.api.problems import answered
from novita_gpu.api.routes import (
    api_keys,
    caches,
    catalogue,
    costs,
    documents,
    events,
    health,
    idle,
    instances,
    lists,
    metrics,
    recovery,
    settings,
    sync,
    utilisation,
    waiting,
    webhooks,
    wishes,
)
from novita_gpu.contract import encode

ROUTES = (
    *instances.ROUTES,
    *lists.ROUTES,
    *idle.ROUTES,
    *utilisation.ROUTES,
    *recovery.ROUTES,
    *sync.ROUTES,
    *catalogue.ROUTES,
    *costs.ROUTES,
    *wishes.ROUTES,
    *waiting.ROUTES,
    *events.ROUTES,
    *webhooks.ROUTES,
    *api_keys.ROUTES,
    *health.ROUTES,
    *caches.ROUTES,
    *metrics.ROUTES,
    *settings.ROUTES,
    *documents.ROUTES,
)


# How a process is, for who watches it.
WATCHED = (*health.ROUTES, metrics.text)


def build_app(parts: Parts, pages: Pages | None = None, routes: Iterable[HTTPRouteHandler] = ROUTES) -> Litestar:
    """The ASGI application made of these parts, and `pages` beside the API behind the same guard.

    It owns none of the parts: who built them closes them.
    """
    desk = Desk(parts)
    app = Litestar(
        route_handlers=[*routes, *(pages.routes if pages else ())],
        guards=[guard],
        exception_handlers=dict.fromkeys((Exception, HTTPException), partial(_as_problem, pages)),
        request_max_body_size=MAX_BODY,
        state=State({"desk": desk}),
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    desk.openapi = encode(document(app, version=parts.version))
    gate = Gate(cast("Any", app.asgi_handler), desk, routes_of(app))
    edge = Edge(
        gate,
        figures=parts.figures,
        new_id=parts.new_id,
        now=parts.now,
        slow=parts.slow_request,
        cors=parts.cors,
        pages=pages,
    )
    app.asgi_handler = cast("Any", edge)
    return app


def end_held(app: Litestar) -> None:
    """Ends waits and streams, so that a server that stops does not wait for them. Before the server's own shutdown."""
    app.state["desk"].close()


def _as_problem(pages: Pages | None, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    request_id = ids_of(request.scope).request
    answer = answered(error, request_id=request_id, now=request.app.state["desk"].parts.now())
    answer = pages.told(request.scope, answer, request_id) if pages else answer
    headers = {"content-type": answer.media_type, **answer.headers}
    if answer.status == 405:
        headers["allow"] = ", ".join(_allowed(request))
    return Response(answer.body, status_code=answer.status, headers=headers)


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that the path does take."""
    taken: list[str] = []
    for method in set(HTTPMethod) - {HTTPMethod.OPTIONS}:
        try:
            request.app.asgi_router.handle_routing(path=request.scope["path"], method=method.value)
        except HTTPException:
            continue
        taken.append(method.value)
    return sorted(taken)
