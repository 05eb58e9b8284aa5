"""Whether the service is well: verdicts for everybody, figures for who has a key."""

from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.guard import may
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import HealthView, ProbeView, View, encode

Asked = Request[Any, Any, Any]

TAG = "Health"


def _operation(name: str, summary: str, view: type[View], *statuses: int) -> Operation:
    answers = dict.fromkeys(statuses, view)
    return Operation(id=name, summary=summary, tag=TAG, scope=None, answers=answers, counted=False)


def _answer(view: View, *, well: bool) -> ASGIResponse:
    return ASGIResponse(body=encode(view), status_code=200 if well else 503)


@get(
    "/health", operation=_operation("getHealth", "The whole, from checks made in the background", HealthView, 200, 503)
)
async def health(request: Asked) -> ASGIResponse:
    view = desk_of(request).parts.health(may(request, Scope.READ))
    return _answer(view, well=view.status != "unhealthy")


@get("/health/live", operation=_operation("getLiveness", "The process answers", ProbeView, 200))
async def live() -> ASGIResponse:
    return _answer(ProbeView(status="healthy"), well=True)


@get("/health/ready", operation=_operation("getReadiness", "Requests can be served", ProbeView, 200, 503))
async def ready(request: Asked) -> ASGIResponse:
    status = desk_of(request).parts.health(False).status
    return _answer(ProbeView(status=status), well=status != "unhealthy")


ROUTES = (health, live, ready)
