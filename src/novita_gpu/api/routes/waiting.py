"""Held until an instance is as wanted: one request in place of a loop of many."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.guard import stands
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.reading import asked, ref_of
from novita_gpu.api.routes.instances import instance_answer
from novita_gpu.contract import InstanceView, WaitQuery
from novita_gpu.domain.errors import Problem
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.observe import HELD, spent

Asked = Request[Any, Any, Any]

# From here nothing leads to a wanted status without a new wish.
ENDED = frozenset({Status.FAILED, Status.DELETED})


@get(
    "/api/instances/{id:str}/wait",
    operation=Operation(
        id="waitForInstance",
        summary="Held until its status is wanted, it has ended, or the time is over",
        tag="Instances",
        scope=Scope.READ,
        query=WaitQuery,
        answers={200: InstanceView},
        problems=("INSTANCE_NOT_FOUND", "WAIT_TIMEOUT"),
    ),
)
async def wait(request: Asked) -> ASGIResponse:
    """`after`: a status counts only if the instance's sequence is greater."""
    desk, query = desk_of(request), asked(request, WaitQuery)
    record = await desk.found(ref_of(request))
    if not _is_over(record, query):
        with desk.waits.place():
            record = await _held(request, desk, record, query)
        if not await stands(request):
            raise Problem("UNAUTHORIZED", "The key was revoked, or has expired, meanwhile.")
    if _is_over(record, query):
        return instance_answer(desk, record)
    message = f"{record.name} is {status(record)}; it was none of {', '.join(query.wanted)} in time."
    raise Problem("WAIT_TIMEOUT", message, details={"instance": msgspec.Raw(desk.body(record))})


def _is_over(record: Record, query: WaitQuery) -> bool:
    if query.after is not None and record.sequence <= query.after:
        return False
    return status(record) in query.wanted or status(record) in ENDED


async def _held(request: Asked, desk: Desk, record: Record, query: WaitQuery) -> Record:
    """The record when the wait is over: wanted, ended, out of time, nobody listens or may, or the server stops."""
    watch = asyncio.ensure_future(_until(desk, record, query))
    others = (_hung_up(request), _shut_out(request, desk), desk.closing.wait())
    ends = (watch, *map(asyncio.ensure_future, others))
    try:
        with spent(HELD):
            await asyncio.wait(ends, timeout=query.timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        return watch.result() if watch.done() else desk.parts.store.view.get(record.id) or record
    finally:
        for end in ends:
            end.cancel()


async def _until(desk: Desk, record: Record, query: WaitQuery) -> Record:
    while not _is_over(record, query):
        record = await desk.parts.store.view.changed(record.id, record.revision)
    return record


async def _shut_out(request: Asked, desk: Desk) -> None:
    """Revoking a key is an event."""
    while await stands(request):
        await desk.parts.store.view.advanced(desk.parts.store.view.sequence)


async def _hung_up(request: Asked) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


ROUTES = (wait,)
