"""Looking at all machines: every page is read, paging always ends, and a look says itself whether it was whole."""

from collections.abc import Callable

import pytest
from canned import NOON, HandClock, Reply, machine, novita, ok, page, refused
from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.cloud.base import Throttled, Unauthorized, Unreachable, Unreadable
from novita_gpu.cloud.paging import MOST_PAGES
from novita_gpu.cloud.transport import NoAnswer, Request, Response


def number_of(request: Request) -> int:
    return int(dict(request.query)["pageNum"])


def cloud_of(pages: list[list[int]], totals: list[object] | None = None) -> Callable[[Request], Response]:
    """A cloud that answers these pages, and empty ones after them."""
    said = totals or [len({m for p in pages for m in p})]

    def answer(request: Request) -> Response:
        index = number_of(request) - 1
        rows = pages[index] if index < len(pages) else []
        return ok({"instances": [machine(m) for m in rows], "total": said[min(index, len(said) - 1)]})

    return answer


async def test_only_documented_parameters_are_sent() -> None:
    cloud, transport = novita(cloud_of([[1]]))
    await cloud.listing()
    assert [r.query for r in transport.requests] == [(("pageSize", "100"), ("pageNum", "1"))]
    assert transport.requests[0].url == "https://api.novita.ai/gpu-instance/openapi/v1/gpu/instances"


async def test_all_pages_make_a_complete_look() -> None:
    pages = [list(range(100)), list(range(100, 200)), [200]]
    cloud, transport = novita(cloud_of(pages, totals=["201"]))
    look = await cloud.listing()
    assert look.complete
    assert look.fault == ""
    assert [row.id for row in look.rows] == [f"m{n}" for n in range(201)]
    assert len(transport.requests) == 3


async def test_an_empty_account_is_complete() -> None:
    look = await novita(cloud_of([[]], totals=[0]))[0].listing()
    assert (look.complete, look.rows, look.total) == (True, (), 0)


async def test_a_smaller_page_than_asked_for_does_not_end_it() -> None:
    pages = [list(range(n, n + 10)) for n in range(0, 50, 10)]
    look = await novita(cloud_of(pages))[0].listing()
    assert look.complete
    assert len(look.rows) == 50


async def test_the_look_begins_before_its_first_call_and_ends_after_its_last() -> None:
    clock = HandClock()
    answer = cloud_of([[1], [2]])

    def slowly(request: Request) -> Response:
        clock.turn(3)
        return answer(request)

    look = await novita(slowly, clock)[0].listing()
    assert look.began_at == NOON
    assert (look.ended_at - look.began_at).total_seconds() == 6
    assert {row.seen.at for row in look.rows} == {NOON}


@pytest.mark.parametrize(
    ("pages", "totals", "fault"),
    [
        ([[1, 2]], [3], "2 machines were listed, 3"),
        ([[1, 2]], [1], "2 machines were listed, 1"),
        ([[1, 2], [3]], [3, 4], "moved"),
        ([[1], [2], [3]], [3, 4, 3], "moved"),
        ([[1, 2], [2, 1]], [3], "2 machines were listed, 3"),
        ([[1]], [None], "did not say"),
    ],
)
async def test_an_incomplete_look_says_why(pages: list[list[int]], totals: list[object], fault: str) -> None:
    look = await novita(cloud_of(pages, totals))[0].listing()
    assert not look.complete
    assert fault in look.fault


async def test_a_row_without_an_id_makes_it_incomplete() -> None:
    look = await novita([ok({"instances": [machine(1), {"name": "x"}, "y"], "total": 1})])[0].listing()
    assert not look.complete
    assert [row.id for row in look.rows] == ["m1"]


@pytest.mark.parametrize("second", [page(), refused(401), refused(429), refused(500), NoAnswer("cut"), ok({"x": 1})])
async def test_a_page_that_cannot_be_read_makes_it_incomplete(second: Reply) -> None:
    def answer(request: Request) -> Reply:
        return cloud_of([[1, 2]], totals=[4])(request) if number_of(request) == 1 else second

    look = await novita(answer)[0].listing()
    assert not look.complete
    assert look.fault.startswith("page 2 could not be read")
    assert [row.id for row in look.rows] == ["m1", "m2"]


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (page(), Unreadable),
        (page(404), Unreadable),
        (refused(404, "API_NOT_FOUND"), Unreadable),
        (ok({}), Unreadable),
        (ok([]), Unreadable),
        (Response(status=200), Unreadable),
        (Response(status=200, oversized=True), Unreadable),
        (refused(401), Unauthorized),
        (refused(500), Unreachable),
        (refused(429), Throttled),
    ],
)
async def test_a_first_page_that_cannot_be_read_is_no_look(first: Reply, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await novita([first])[0].listing()


async def test_a_cloud_that_ignores_the_page_number_is_asked_twice() -> None:
    cloud, transport = novita([ok({"instances": [machine(1)], "total": 5})])
    assert not (await cloud.listing()).complete
    assert len(transport.requests) == 2


async def test_a_cloud_that_pages_for_ever_is_left() -> None:
    def answer(request: Request) -> Response:
        return ok({"instances": [machine(number_of(request))], "total": 10**9})

    cloud, transport = novita(answer)
    look = await cloud.listing()
    assert not look.complete
    assert len(transport.requests) == MOST_PAGES


@given(
    machines=st.lists(st.integers(0, 30), unique=True, max_size=30),
    size=st.integers(1, 8),
    moves=st.lists(st.tuples(st.sampled_from(["add", "remove", "front"]), st.integers(0, 60)), max_size=8),
)
async def test_whatever_moves_meanwhile_paging_ends_and_counts_nobody_twice(
    machines: list[int], size: int, moves: list[tuple[str, int]]
) -> None:
    """Before each further page something may be added, taken away or put first, as in a list ordered by change."""
    rows, pending, ever = list(machines), list(moves), set(machines)

    def answer(request: Request) -> Response:
        if number_of(request) > 1 and pending:
            move(rows, *pending.pop(0))
            ever.update(rows)
        begin = (number_of(request) - 1) * size
        return ok({"instances": [machine(m) for m in rows[begin : begin + size]], "total": str(len(rows))})

    cloud, transport = novita(answer)
    look = await cloud.listing()
    ids = [row.id for row in look.rows]
    assert len(ids) == len(set(ids))
    assert set(ids) <= {f"m{m}" for m in ever}
    assert len(transport.requests) <= len(ever) + 2
    assert look.complete == (not look.fault)
    if look.complete:
        assert look.total == len(ids)
    if not moves:
        assert look.complete
        assert set(ids) == {f"m{m}" for m in machines}


def move(rows: list[int], verb: str, which: int) -> None:
    if which in rows:
        rows.remove(which)
        if verb == "front":
            rows.insert(0, which)
    elif verb == "add":
        rows.insert(0, which)


async def test_jobs_come_newest_first_and_whole() -> None:
    def answer(request: Request) -> Response:
        rows = [[("a", "5"), ("b", "7")], [("c", "")]][number_of(request) - 1]
        jobs = [{"Id": i, "createdAt": at, "state": {"state": "success"}, "instanceId": "m"} for i, at in rows]
        return ok({"jobs": jobs, "total": 3})

    cloud, transport = novita(answer)
    assert [job.id for job in await cloud.jobs(type="instanceMigrate", since=NOON)] == ["b", "a", "c"]
    query = dict(transport.requests[0].query)
    assert (query["type"], query["startTime"]) == ("instanceMigrate", str(int(NOON.timestamp())))


async def test_half_a_list_of_jobs_is_an_error() -> None:
    cloud, _ = novita([ok({"jobs": [{"Id": "a"}], "total": 2}), refused(401)])
    with pytest.raises(Unauthorized):
        await cloud.jobs()


async def test_templates_are_the_official_ones_and_ours() -> None:
    def answer(request: Request) -> Response:
        return ok({"template": [{"Id": dict(request.query)["channel"], "image": "i"}], "total": 1})

    cloud, transport = novita(answer)
    assert [template.id for template in await cloud.templates()] == ["official", "private"]
    assert [dict(r.query)["isMyCommunity"] for r in transport.requests] == ["false", "true"]
