"""Whether the service is well: verdicts for everybody, figures for who has a key."""

from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.guard import may
from novita_gpu.api.look import look
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import HealthView, ProbeView, View, encode

Asked = Request[Any, Any, Any]

TAG = "Health"


def _operation(name: str, summary: str, view: type[View], *statuses: int) -> Operation:
    answers = dict.fromkeys(statuses, view)
    return Operation(id=name, summary=summary, tag=TAG, scope=None, answers=answers, counted=False)


def _answer(view: View, *, well: bool) -> ASGIResponse:
    return ASGIResponse(body=encode(view), status_code=200 if well else 503)


@look(
    "/health", operation=_operation("getHealth", "The whole, from checks made in the background", HealthView, 200, 503)
)
async def health(request: Asked) -> ASGIResponse:
    view = desk_of(request).parts.health(may(request, Scope.READ))
    return _answer(view, well=view.status != "unhealthy")


@look("/health/live", operation=_operation("getLiveness", "The process answers", ProbeView, 200))
async def live() -> ASGIResponse:
    return _answer(ProbeView(status="healthy"), well=True)


@look("/health/ready", operation=_operation("getReadiness", "Requests can be served", ProbeView, 200, 503))
async def ready(request: Asked) -> ASGIResponse:
    """Whether requests should come here. Where the store is out they should: reads are answered from memory."""
    desk = desk_of(request)
    reason = "it is stopping" if desk.closing.is_set() else desk.parts.unready()
    return _answer(ProbeView(status="unhealthy" if reason else "healthy", reason=reason or None), well=not reason)


ROUTES = (health, live, ready)
