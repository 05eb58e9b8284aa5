"""What happened: by pages, of one instance or of all, and as a live stream."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu import observe
from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.guard import stands
from novita_gpu.api.live import LiveStream
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.reading import asked, ref_of
from novita_gpu.contract import EventList, EventsQuery, TimelineQuery, encode, event_view
from novita_gpu.domain.errors import Fault, Invalid
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.value import Value
from novita_gpu.store.base import StoreError

Asked = Request[Any, Any, Any]

told = observe.logger(__name__)

TAG = "Events"
STREAM = "text/event-stream"


class Wanted(Value, frozen=True, kw_only=True):
    type: EventType | None = None
    instance: InstanceId | None = None


@get(
    "/api/instances/{id:str}/events",
    operation=Operation(
        id="listInstanceEvents",
        summary="Its timeline, oldest first",
        tag=TAG,
        scope=Scope.READ,
        query=TimelineQuery,
        answers={200: EventList},
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def timeline(request: Asked) -> ASGIResponse:
    desk, query = desk_of(request), asked(request, TimelineQuery)
    record = await desk.found(ref_of(request))
    return await _page(desk, query.after, query.limit, Wanted(instance=record.id))


@get(
    "/api/events",
    operation=Operation(
        id="listEvents",
        summary="The event log, oldest first; with Accept: text/event-stream as it happens",
        tag=TAG,
        scope=Scope.READ,
        query=EventsQuery,
        answers={200: EventList},
        media_types=(STREAM,),
        problems=("INSTANCE_NOT_FOUND",),
    ),
)
async def log(request: Asked) -> ASGIResponse:
    desk, query = desk_of(request), asked(request, EventsQuery)
    instance = (await desk.found(query.instance_id)).id if query.instance_id else None
    wanted = Wanted(type=query.type, instance=instance)
    last = _last_read(request)
    if STREAM not in request.headers.get("accept", ""):
        return await _page(desk, query.after or 0, query.limit, wanted)
    desk.streams.check()
    after = await _begin(desk, query.after if last is None else last)
    return LiveStream(_stream(request, after, wanted), media_type=STREAM, within=desk.parts.slow_after)


async def _page(desk: Desk, after: int, limit: int, wanted: Wanted) -> ASGIResponse:
    """One more than asked for is read, to know whether there are more."""
    events = await desk.parts.store.events.read(after, limit + 1, wanted.type, wanted.instance)
    page = tuple(event_view(event) for event in events[:limit])
    more = page[-1].data.sequence if len(events) > limit else None
    return ASGIResponse(body=encode(EventList(events=page, next_after=more)))


def _last_read(request: Asked) -> int | None:
    """What the client of a stream has read. Wrong is wrong, also where no stream is asked for."""
    last = request.headers.get("last-event-id")
    if last is None:
        return None
    if not (last.isascii() and last.isdigit() and len(last) <= 16):
        raise Invalid(Fault(field="Last-Event-ID", message="must be the id of an event of this stream"))
    return int(last)


async def _begin(desk: Desk, after: int | None) -> int:
    """The sequence that a stream goes on from: what was read last or is asked for, else now."""
    known = desk.parts.store.view.sequence
    if after is None or after <= known:
        return known if after is None else after
    return min(after, max(known, await desk.parts.store.events.last_sequence()))


async def _stream(request: Asked, after: int, wanted: Wanted) -> AsyncGenerator[bytes]:
    """Frames until the client, its key or the server goes; a comment now and then shows that the other is there."""
    desk = desk_of(request)
    with desk.streams.place():
        yield b"retry: 2000\n\n"
        while not desk.closing.is_set():
            try:
                batch, after = await desk.tail.after(after)
            except StoreError as error:
                told.warning("stream.ended", reason=str(error))
                return  # the client comes back and goes on after what it read last
            if not await stands(request):
                return
            frames = [entry.frame for entry in batch if entry.is_of(wanted.type, wanted.instance)]
            if frames:
                yield b"".join(frames)
            if not batch and not await _advanced(desk, after):
                yield b": still here\n\n"


async def _advanced(desk: Desk, after: int) -> bool:
    """Whether there is something new, or the server stops, before it is time for a sign of life."""
    news = asyncio.ensure_future(desk.parts.store.view.advanced(after))
    closing = asyncio.ensure_future(desk.closing.wait())
    try:
        timeout = desk.parts.heartbeat.total_seconds()
        done, _ = await asyncio.wait((news, closing), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        news.cancel()
        closing.cancel()


ROUTES = (timeline, log)
