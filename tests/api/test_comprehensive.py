"""Our records beside what the cloud lists: pure merge, and over HTTP."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Listing, Unreachable
from novita_gpu.control.comprehensive import count, merge, status_of
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import CloudId, Record, Seen, Status
from novita_gpu.domain.look import Row
from tests.api.served import Scope, Served, served
from tests.domain import given

OTHER = CloudId("ffaa11bb22cc33dd")


def listing(seconds: float, *rows: Row, complete: bool = True) -> Listing:
    return Listing(
        began_at=given.at(seconds), ended_at=given.at(seconds + 1), complete=complete, rows=rows, total=len(rows)
    )


def merged(records: list[Record], cloud: Listing | None, *, foreign: bool = True, fault: str = "") -> list[Any]:
    def heard(_: object) -> Heard:
        return Heard()

    return list(
        merge(records, cloud, fault=fault, heard=heard, idle=IdlePolicy(), as_of=given.at(500), foreign=foreign)
    )


def seen(status: str, seconds: float) -> Record:
    return given.ready(seen=Seen(at=given.at(seconds), status=status))


@pytest.mark.parametrize(
    ("record", "cloud", "source", "consistency"),
    [
        (given.new(), listing(300), "local", "consistent"),
        (seen("running", 300), listing(300, given.row("running")), "merged", "consistent"),
        (seen("running", 200), listing(300, given.row("running")), "merged", "consistent"),
        (seen("running", 200), listing(300, given.row("exited")), "merged", "novita-newer"),
        (seen("running", 400), listing(300, given.row("exited")), "merged", "conflicted"),
        (given.launched(), listing(0, given.row("creating")), "merged", "local-newer"),
        (given.ready(), listing(300), "local", "conflicted"),
        (given.ready(), listing(300, complete=False), "local", "local-newer"),
        (given.ready(deleted_at=given.at(200)), listing(300), "local", "consistent"),
        (given.ready(), None, "local", "local-newer"),
    ],
)
def test_what_both_sides_say(record: Record, cloud: Listing | None, source: str, consistency: str) -> None:
    (row,) = merged([record], cloud)
    assert (row.source, row.data_consistency) == (source, consistency)


def test_a_machine_that_no_record_has_is_shown_as_the_cloud_tells_it() -> None:
    foreign = replace(given.row("exited", machine=OTHER, marker=""), name="theirs", gpu_num=2, created_at=given.at(-9))
    rows = merged([given.ready()], listing(300, given.row("running"), foreign))
    assert [row.source for row in rows] == ["merged", "novita"]
    assert (rows[1].id, rows[1].status, rows[1].name, rows[1].gpu_num) == (OTHER, Status.STOPPED, "theirs", 2)
    assert count(rows).merged == count(rows).novita == 1
    assert [r.source for r in merged([given.ready()], listing(300, foreign), foreign=False)] == ["local"]


def test_what_is_gone_is_not_shown_as_the_clouds() -> None:
    assert merged([], listing(300, given.row("removed", machine=OTHER))) == []


def test_the_cloud_out_of_reach_is_told_on_each_row() -> None:
    (row,) = merged([given.ready()], None, fault="cut")
    assert row.sync_errors == ("cut",)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("running", Status.RUNNING),
        ("exited", Status.STOPPED),
        ("toStop", Status.STOPPING),
        ("pulling", Status.CREATING),
        ("starting", Status.STARTING),
        ("migrating", Status.MIGRATING),
        ("removing", Status.DELETING),
        ("removed", Status.DELETED),
        ("neverHeardOf", Status.RUNNING),
    ],
)
def test_a_word_of_the_cloud_as_public_status(word: str, status: Status) -> None:
    assert status_of(word) is status


async def test_over_http(api: Served) -> None:
    await api.created()
    answer = await api.get("/api/instances/comprehensive", key=Scope.READ)
    assert answer.status == 200
    body = answer.json
    assert (body["total"], body["sources"]) == (1, {"local": 1, "novita": 0, "merged": 0})
    assert body["instances"][0]["source"] == "local"
    assert set(body["performance"]) == {
        "totalRequestTimeMs",
        "novitaApiTimeMs",
        "localDataTimeMs",
        "mergeProcessingTimeMs",
        "cacheHitRatio",
    }
    assert "syncErrors" not in body
    assert "warning" not in answer.headers


class Counted:
    """The cloud's list, slow, counted, and cut off when told."""

    def __init__(self) -> None:
        self.calls = 0
        self.is_cut = False

    async def listing(self) -> Listing:
        self.calls += 1
        await asyncio.sleep(0.01)
        if self.is_cut:
            raise Unreachable("no route")
        return listing(0, replace(given.row("running", machine=OTHER, marker=""), name="theirs"))


async def test_l2_however_many_ask_the_cloud_is_asked_once(valkey: str) -> None:
    cloud = Counted()
    async with served(valkey, cloud=cloud) as api:
        answers = await asyncio.gather(*(api.get("/api/instances/comprehensive") for _ in range(20)))
        assert cloud.calls == 1
        assert all(a.json["sources"]["novita"] == 1 for a in answers)
        assert (await api.get("/api/instances?source=novita")).json["instances"][0]["name"] == "theirs"
        assert cloud.calls == 1


async def test_the_cloud_out_of_reach_is_no_error(valkey: str) -> None:
    cloud = Counted()
    cloud.is_cut = True
    async with served(valkey, cloud=cloud) as api:
        await api.created()
        for path in ("/api/instances/comprehensive", "/api/instances?source=all"):
            answer = await api.get(path)
            assert answer.status == 200
            assert answer.headers["warning"].startswith("110")
            assert answer.json["instances"][0]["syncErrors"] == ["no route"]
        body = (await api.get("/api/instances/comprehensive")).json
        assert body["syncErrors"] == ["no route"]


async def test_the_merged_list_has_pages_too(api: Served) -> None:
    for name in ("a", "b", "c"):
        await api.created(name)
    first = (await api.get("/api/instances?source=all&limit=2")).json
    rest = (await api.get(f"/api/instances?source=all&limit=2&cursor={first['nextCursor']}")).json
    assert [row["name"] for row in (*first["instances"], *rest["instances"])] == ["c", "b", "a"]
    assert "nextCursor" not in rest
