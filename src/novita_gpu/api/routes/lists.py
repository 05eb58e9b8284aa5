"""Many instances at once: our records by pages, and our records beside what the cloud lists."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.guard import may
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.prepared import tagged
from novita_gpu.api.reading import asked
from novita_gpu.contract import (
    ComprehensiveQuery,
    ComprehensiveRow,
    ComprehensiveView,
    InstanceList,
    ListQuery,
    TimingView,
    encode,
)
from novita_gpu.control.comprehensive import count, merge
from novita_gpu.domain.errors import Problem
from novita_gpu.store.index import BadCursor, Filter

Asked = Request[Any, Any, Any]

TAG = "Instances"
STALE = {"warning": '110 novita-gpu "the cloud is out of reach; its side is missing or old"'}


@get(
    "/api/instances",
    operation=Operation(
        id="listInstances",
        summary="Instances, newest first",
        tag=TAG,
        scope=Scope.READ,
        query=ListQuery,
        answers={200: InstanceList, 304: InstanceList},
    ),
)
async def list_instances(request: Asked) -> ASGIResponse:
    desk, query = desk_of(request), asked(request, ListQuery)
    if query.source == "local":
        return tagged(request, _local(desk, query))
    return await _with_cloud(request, desk, query)


def _local(desk: Desk, query: ListQuery) -> bytes:
    which = Filter(
        statuses=frozenset(query.status),
        name_prefix=query.name or "",
        region=query.region,
        billing_mode=query.billing_mode,
    )
    page = desk.parts.store.view.page(which, query.cursor, query.limit)
    return _joined(map(desk.body, page.records), page.total, page.cursor)


def _joined(bodies: Iterable[bytes], total: int, cursor: str | None) -> bytes:
    """An `InstanceList` of instances that are bytes already."""
    end = b',"nextCursor":' + encode(cursor) if cursor else b""
    return b'{"instances":[' + b",".join(bodies) + b'],"total":' + str(total).encode() + end + b"}"


async def _with_cloud(request: Asked, desk: Desk, query: ListQuery) -> ASGIResponse:
    """`novita`: what the cloud lists, known to us or not. `all`: that and every record of ours."""
    rows, fault, _ = await _merged(desk, foreign=True)
    chosen = [row for row in rows if _is_wanted(row, query)]
    begin = _place(query.cursor, chosen)
    page = chosen[begin : begin + query.limit]
    more = _cursor(page[-1]) if begin + query.limit < len(chosen) else None
    body = _joined((encode(row) for row in page), len(chosen), more)
    return tagged(request, body, STALE if fault else {})


def _is_wanted(row: ComprehensiveRow, query: ListQuery) -> bool:
    return (
        (query.source == "all" or row.source != "local")
        and (not query.status or row.status in query.status)
        and row.name.startswith(query.name or "")
        and query.region in (None, row.region, row.cluster_id)
        and query.billing_mode in (None, row.billing_mode)
    )


def _cursor(row: ComprehensiveRow) -> str:
    return urlsafe_b64encode(f"{row.created_at} {row.id}".encode()).decode().rstrip("=")


def _place(cursor: str | None, rows: Sequence[ComprehensiveRow]) -> int:
    """How many rows come before the page that follows the cursor."""
    if cursor is None:
        return 0
    try:
        created_at, _, last = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
    except ValueError:
        raise BadCursor("this cursor is not one of ours") from None
    return sum((row.created_at, row.id) >= (created_at, last) for row in rows)


async def _merged(desk: Desk, *, foreign: bool) -> tuple[tuple[ComprehensiveRow, ...], str, TimingView]:
    """All rows, what is wrong with the cloud's side, and how long each step took."""
    began, asked_at = time.perf_counter(), desk.parts.now()
    listing, fault = await desk.listings.latest()
    listed = time.perf_counter()
    records = desk.parts.store.view.all()
    read = time.perf_counter()
    rows = merge(
        records,
        listing,
        fault=fault,
        heard=desk.parts.store.view.heard,
        idle=desk.parts.idle,
        as_of=asked_at,
        foreign=foreign,
    )
    done = time.perf_counter()
    return (
        rows,
        fault,
        TimingView(
            total_request_time_ms=_ms(done - began),
            novita_api_time_ms=_ms(listed - began),
            local_data_time_ms=_ms(read - listed),
            merge_processing_time_ms=_ms(done - read),
            cache_hit_ratio=1.0 if listing and listing.ended_at < asked_at else 0.0,
        ),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


@get(
    "/api/instances/comprehensive",
    operation=Operation(
        id="listComprehensive",
        summary="Our records merged with what the cloud lists",
        tag=TAG,
        scope=Scope.READ,
        query=ComprehensiveQuery,
        answers={200: ComprehensiveView},
    ),
)
async def comprehensive(request: Asked) -> ASGIResponse:
    """The cloud out of reach is no error: what we know is answered, with a warning."""
    desk, query = desk_of(request), asked(request, ComprehensiveQuery)
    if query.sync_local_state:
        if not may(request, Scope.OPERATE):
            raise Problem("FORBIDDEN", "syncLocalState needs the scope operate.", details={"needed": Scope.OPERATE})
        await desk.parts.look()
    rows, fault, timing = await _merged(desk, foreign=query.include_novita_only)
    view = ComprehensiveView(
        instances=rows,
        total=len(rows),
        sources=count(rows),
        performance=timing,
        sync_errors=(fault,) if fault else None,
    )
    return ASGIResponse(body=encode(view), headers=STALE if fault else {})


ROUTES = (list_instances, comprehensive)
