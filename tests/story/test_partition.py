"""Two replicas on one Redis, and the line of one of them is cut: both go on, and agree once it is mended."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.plane import IMAGE, PRODUCT, Service, eventually, serving
from tests.server.line import Line, line_to
from tests.server.shared import shared_server
from tests.story.test_store_out import until_mode


@dataclass(frozen=True, kw_only=True)
class Two:
    """`there` keeps the shared store all the time; `here` loses it while the line is cut."""

    there: Service
    here: Service
    line: Line

    async def part(self) -> None:
        self.line.cut()
        await until_mode(self.here, "fallback")

    async def meet(self) -> None:
        self.line.mend()
        await until_mode(self.here, "redis")


@asynccontextmanager
async def two(folder: Path) -> AsyncGenerator[Two]:
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(shared_server(folder / "redis"))
        line, port = await stack.enter_async_context(line_to("127.0.0.1", urlsplit(shared.url).port or 0))
        there = await stack.enter_async_context(serving(folder / "there", redis_url=shared.url))
        mine = f"redis://127.0.0.1:{port}/0"
        here = await stack.enter_async_context(serving(folder / "here", redis_url=mine, cloud=there.cloud))
        yield Two(there=there, here=here, line=line)


async def test_wishes_on_both_sides_are_all_kept_and_nothing_is_bought_twice(tmp_path: Path) -> None:
    async with two(tmp_path) as both:
        for name in ("stopped-there", "deleted-here", "either", "untouched"):
            await both.there.ready(name)
        await both.part()
        assert (await both.there.post("/instances/stopped-there/stop")).status == 202
        assert (await both.here.delete("deleted-here")).status == 202
        assert (await both.there.post("/instances/either/stop")).status == 202
        assert (await both.here.delete("either")).status == 202
        await both.here.until("deleted", of="deleted-here")
        await both.there.until("stopped", of="stopped-there")
        await both.there.ready("made-there")
        refused = await both.here.post("/instances", {"name": "made-there", "productName": PRODUCT, "imageUrl": IMAGE})
        assert (refused.status, refused.code) == (409, "INSTANCE_ALREADY_EXISTS")
        await both.here.ready("made-here")
        await both.here.looked()
        await both.meet()
        ends = {
            "stopped-there": "stopped",
            "deleted-here": "deleted",
            "either": "deleted",
            "untouched": "ready",
            "made-there": "ready",
            "made-here": "ready",
        }
        for side in (both.here, both.there):
            for name, end in ends.items():
                assert (await side.until(end, of=name))["status"] == end
        orphans = (await both.there.get("/events?type=sync.orphan_found")).json["events"]
        assert ["made-here" in event["data"]["reason"] for event in orphans] in ([], [True]), (
            "away nobody judges others"
        )
        audit = both.there.audit()
        assert audit["everCreated"] == len(ends)
        assert len(audit["alive"]) == 4
        assert set(audit["aliveAtOnce"].values()) == {1}


async def test_what_others_replaced_meanwhile_is_not_closed_by_who_saw_the_old_one_go(tmp_path: Path) -> None:
    async with two(tmp_path) as both:
        first = await both.there.ready(billingMode="spot", recovery={"onReclaim": "recreate"})
        await both.part()
        both.there.cloud.control.post("reclaim", instanceId=first["novitaInstanceId"], noticeSeconds=0)
        back = await both.there.hears("instance.recovered")
        assert back
        replaced = await both.there.instance()
        assert replaced["novitaInstanceId"] != first["novitaInstanceId"]
        await eventually(lambda: [m["id"] for m in both.there.audit()["alive"]] == [replaced["novitaInstanceId"]])
        await both.here.looked()
        await both.meet()
        for side in (both.here, both.there):
            now = await side.until("ready")
            assert (now["id"], now["novitaInstanceId"]) == (first["id"], replaced["novitaInstanceId"])
        assert both.there.audit()["everCreated"] == 2
