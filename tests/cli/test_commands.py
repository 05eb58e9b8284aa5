"""What is typed, and what comes of it, against a service on a real port."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import ask, begin, ended, type_in
from tests.client.plane import AT, INS, KEY, Plane, Said, instance, problem, serving


async def test_list_shows_a_table_and_json(tmp_path: Path) -> None:
    async with serving() as plane:
        await plane.change("trainer-1", "ready", readyAt="2026-01-31T12:00:00.000Z")
        await plane.change("odd[red]", "failed", billingMode="spot")
        shown = await ask(tmp_path, plane.url, "list")
        as_json = await ask(tmp_path, plane.url, "list", "--json")
    assert shown.code == 0
    header, first, second = shown.out.rstrip().split("\n")
    assert header.split() == ["NAME", "STATUS", "GPU", "REGION", "PRICE", "COST", "READY", "SINCE", "LAST", "ACTIVITY"]
    for word in ("trainer-1", "ready", "2 × RTX 4090 24GB", "AS-SGP-02", "$0.7000/h", "$1.23", "2026-01-31 12:00"):
        assert word in first
    assert "odd[red]" in second, "names are text, never markup"
    assert "spot" in second
    assert as_json.json["instances"][0] == plane.instances["trainer-1"]


async def test_filters_go_into_the_query(tmp_path: Path) -> None:
    async with serving() as plane:
        await ask(
            tmp_path,
            plane.url,
            *["list", "--status", "ready", "--status", "running", "--name", "tr", "--region", "X", "--limit", "5"],
        )
    assert plane.seen[0].query == {
        "status": ["ready", "running"],
        "name": ["tr"],
        "region": ["X"],
        "limit": ["5"],
    }


async def test_get_shows_how_to_reach_it(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(
            "GET /api/instances/a",
            Said(body=instance("a", connectionDetails={"ssh": "ssh root@gpu", "sshPassword": "p"})),
        )
        shown = await ask(tmp_path, plane.url, "get", "a")
    assert "http://gpu.test:8888 healthy" in shown.out
    assert "ssh root@gpu" in shown.out


@pytest.mark.parametrize("status", ["stopped", "deleted", "starting"])
async def test_what_is_not_ready_is_not_ready_since(tmp_path: Path, status: str) -> None:
    async with serving() as plane:
        await plane.change("a", status, readyAt="2026-01-30T11:22:33.000Z")
        listed = await ask(tmp_path, plane.url, "list")
        shown = await ask(tmp_path, plane.url, "get", "a")
    assert "2026-01-30" not in listed.out
    assert "ready since" not in shown.out


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        ({"enabled": False}, ["auto-stop off"]),
        ({"enabled": True, "stopsAt": AT}, ["auto-stop at 2026-01-31 12:00, after 20 min without activity"]),
        (
            {"enabled": True, "maxLifetimeMinutes": 600, "pinnedUntil": "2999-01-31T12:00:00.000Z"},
            [
                "auto-stop after 20 min without activity or after 600 min of running",
                "pinned until 2999-01-31 12:00",
            ],
        ),
        ({"enabled": False, "maxLifetimeMinutes": 600, "pinnedUntil": AT}, ["auto-stop after 600 min of running"]),
    ],
)
async def test_get_shows_each_rule_that_may_stop_it(tmp_path: Path, policy: dict[str, Any], lines: list[str]) -> None:
    async with serving() as plane:
        body = instance("a", autoStop={"idleMinutes": 20, "activity": "heartbeat", **policy})
        plane.tell("GET /api/instances/a", Said(body=body))
        shown = await ask(tmp_path, plane.url, "get", "a")
    told = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert [line for line in told if line.startswith(("auto-stop", "pinned"))] == lines


async def test_create_and_plan_send_every_option(tmp_path: Path) -> None:
    words = """trainer-1 --product P --image I --gpus 2 --rootfs-size 80 --region A --regions A --regions B
        --no-fallback --billing-mode spot --max-price 0.70 --port 8888 --port 22/tcp --env A=b=c --env HOME
        --command c --entrypoint e --min-cuda 12.4 --storage ns --storage ns2:/data --health-path /h --health-port 80
        --health-timeout-ms 1000 --health-retries 0 --health-retry-delay-ms 100 --health-max-wait-ms 30000
        --auto-stop --idle-minutes 5 --activity gpu --max-lifetime-minutes 60 --pinned-until 2026-01-31T12:00:00Z
        --on-reclaim none --recoveries-per-day 1 --recover-on-demand --save-image
        --image-repository registry.example.com/team/saved --image-auth auth-1 --on-start-capacity fail
        --webhook-url https://example.com --json"""
    async with serving() as plane:
        plane.tell("POST /api/instances/plan", Said(body={"name": "trainer-1"}))
        where = {"NOVITA_GPU_URL": plane.url, "NOVITA_GPU_KEY": KEY, "HOME": "/home/me"}
        done = await type_in(tmp_path, "create", *words.split(), "--idempotency-key", "mine", **where)
        planned = await type_in(tmp_path, "plan", *words.split(), **where)
    assert (done.code, done.json["status"]) == (0, "creating")
    assert (planned.code, planned.json) == (0, {"name": "trainer-1"})
    to_create, to_plan = plane.seen
    assert to_create.headers["idempotency-key"] == "mine"
    assert (to_create.path, to_plan.path) == ("/api/instances", "/api/instances/plan")
    assert to_plan.body == to_create.body
    assert to_create.body == {
        "name": "trainer-1",
        "productName": "P",
        "imageUrl": "I",
        "gpuNum": 2,
        "rootfsSize": 80,
        "region": "A",
        "regions": ["A", "B"],
        "fallback": False,
        "billingMode": "spot",
        "maxPricePerHour": "0.70",
        "ports": [{"port": 8888, "type": "http"}, {"port": 22, "type": "tcp"}],
        "envs": [{"key": "A", "value": "b=c"}, {"key": "HOME", "value": "/home/me"}],
        "command": "c",
        "entrypoint": "e",
        "minCudaVersion": "12.4",
        "networkStorages": [{"id": "ns"}, {"id": "ns2", "mountPoint": "/data"}],
        "healthCheck": {
            "path": "/h",
            "targetPort": 80,
            "timeoutMs": 1000,
            "retryAttempts": 0,
            "retryDelayMs": 100,
            "maxWaitTimeMs": 30000,
        },
        "autoStop": {
            "enabled": True,
            "idleMinutes": 5,
            "activity": "gpu",
            "maxLifetimeMinutes": 60,
            "pinnedUntil": "2026-01-31T12:00:00Z",
        },
        "recovery": {
            "onReclaim": "none",
            "maxPerDay": 1,
            "allowOnDemand": True,
            "saveImage": True,
            "imageRepository": "registry.example.com/team/saved",
            "imageAuthId": "auth-1",
        },
        "onStartCapacity": "fail",
        "webhookUrl": "https://example.com",
    }


async def test_create_and_wait_tells_each_phase_and_shows_the_ready_one(tmp_path: Path) -> None:
    async with serving() as plane:
        process = await begin(
            tmp_path,
            *["create", "trainer-1", "--product", "P", "--template", "7", "--wait"],
            NOVITA_GPU_URL=plane.url,
            NOVITA_GPU_KEY=KEY,
        )
        await plane.requests(3)
        await plane.change("trainer-1", "running")
        await plane.requests(4)
        await plane.change("trainer-1", "ready")
        done = await ended(process)
    assert done.code == 0
    assert done.err.index("creating") < done.err.index("running") < done.err.index("ready")
    assert "http://gpu.test:8888" in done.out


@pytest.mark.parametrize(
    ("words", "method", "path", "code"),
    [
        ("start a --port 80", "POST", "/api/instances/a/start", 0),
        ("stop a", "POST", "/api/instances/a/stop", 0),
        ("restart a", "POST", "/api/instances/a/restart", 0),
        ("delete a", "DELETE", "/api/instances/a", 0),
        ("last-used a", "PUT", "/api/instances/a/last-used", 0),
        ("last-used a --at 2026-01-31T12:00:00Z --json", "PUT", "/api/instances/a/last-used", 0),
        ("touch a", "PUT", "/api/instances/a/last-used", 0),
        ("touch nowhere", "PUT", "/api/instances/nowhere/last-used", 1),
        ("wait a", "GET", "/api/instances/a/wait", 0),
        ("stop nowhere", "POST", "/api/instances/nowhere/stop", 1),
    ],
)
async def test_each_command_asks_its_route(tmp_path: Path, words: str, method: str, path: str, code: int) -> None:
    async with serving() as plane:
        await plane.change("a", "ready")
        done = await ask(tmp_path, plane.url, *words.split())
    assert (plane.seen[0].method, plane.seen[0].path) == (method, path)
    assert done.code == code


async def test_a_wish_that_waits_does_not_take_the_state_before_for_its_outcome(tmp_path: Path) -> None:
    async with serving() as plane:
        await plane.change("a", "ready")
        plane.tell("POST /api/instances/a/restart", Said(202, {"status": "starting", "message": "It restarts."}))
        process = await begin(
            tmp_path, *["restart", "a", "--wait", "--json"], NOVITA_GPU_URL=plane.url, NOVITA_GPU_KEY=KEY
        )
        await plane.requests(3)
        assert plane.seen[-1].query["after"] == ["1"]
        await plane.change("a", "ready")
        done = await ended(process)
    assert done.json["sequence"] == 2


async def test_events_are_followed_until_interrupted(tmp_path: Path) -> None:
    async with serving() as plane:
        await plane.change("a", "creating")
        process = await begin(
            tmp_path, "events", "--follow", "--json", "--after", "0", NOVITA_GPU_URL=plane.url, NOVITA_GPU_KEY=KEY
        )
        assert process.stdout
        assert b'"evt_1"' in await asyncio.wait_for(process.stdout.readline(), 20)
        await plane.change("a", "ready")
        assert b'"evt_2"' in await asyncio.wait_for(process.stdout.readline(), 20)
        process.send_signal(signal.SIGINT)
        assert (await ended(process)).code == 130


async def test_events_shows_lines(tmp_path: Path) -> None:
    async with serving() as plane:
        for status in ("creating", "running", "ready"):
            await plane.change("trainer-1", status)
        shown = await ask(tmp_path, plane.url, "events")
    assert [line.split()[2:5] for line in shown.out.strip().split("\n")] == [
        ["#1", "instance.creating", "trainer-1"],
        ["#2", "instance.running", "trainer-1"],
        ["#3", "instance.ready", "trainer-1"],
    ]


async def test_the_key_of_a_service_on_this_machine_is_found_and_goes_nowhere_else(tmp_path: Path) -> None:
    for folder, variables in ((".demo", {}), ("data", {}), ("elsewhere", {"DATA_DIR": "elsewhere"})):
        home = tmp_path / f"for-{folder}"
        (home / folder).mkdir(parents=True)
        (home / folder / "admin-key").write_text(f"{KEY}\n")
        async with serving() as plane:
            assert (await type_in(home, "list", "--url", plane.url, **variables)).code == 0
    async with serving() as plane:
        other = plane.url.replace("127.0.0.1", "0.0.0.0")
        assert (await type_in(home, "list", "--url", other, DATA_DIR="elsewhere")).code == 1
        assert "authorization" not in plane.seen[0].headers


def _refusal(plane: Plane) -> None:
    details = [{"field": "gpuNum", "message": "must be 1 to 8", "value": 9}]
    plane.tell("POST /api/instances", Said(400, problem("VALIDATION_ERROR", "It breaks rules.", details=details)))


async def test_a_refusal_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with serving() as plane:
        _refusal(plane)
        told = await ask(tmp_path, plane.url, *["create", "a", "--product", "P"])
        as_json = await ask(tmp_path, plane.url, *["create", "a", "--product", "P", "--json"])
        missing = await ask(tmp_path, plane.url, "get", "nowhere")
    assert (told.code, told.out) == (1, "")
    assert "VALIDATION_ERROR: It breaks rules." in told.err
    assert "gpuNum: must be 1 to 8" in told.err
    assert as_json.code == 1
    assert (as_json.error["status"], as_json.error["requestId"]) == (400, "req-1")
    assert "`novita-gpu list` shows the names." in missing.err


async def test_a_wrong_key_is_told(tmp_path: Path) -> None:
    async with serving() as plane:
        told = await type_in(tmp_path, "list", "--url", plane.url, "--key", "wrong")
    assert told.code == 1
    assert "NOVITA_GPU_KEY" in told.err


async def test_a_wait_that_takes_too_long_and_one_that_fails(tmp_path: Path) -> None:
    async with serving() as plane:
        await plane.change("slow", "creating")
        late = await ask(tmp_path, plane.url, *["wait", "slow", "--timeout", "1", "--json"])
        await plane.change("lost", "failed", error={"code": "NO_OFFER", "message": "No region has one."})
        failed = await ask(tmp_path, plane.url, "wait", "lost")
        wanted = await ask(tmp_path, plane.url, *["wait", "lost", "--for", "failed"])
    assert (late.code, late.error["code"]) == (4, "WAIT_TIMEOUT")
    assert failed.code == 5
    assert "No region has one." in failed.err
    assert wanted.code == 0


async def test_nobody_there(tmp_path: Path) -> None:
    told = await type_in(tmp_path, "list", "--json", "--url", "http://127.0.0.1:1")
    assert (told.code, told.error["code"]) == (3, "NOT_REACHABLE")
    assert "connection refused" in told.error["message"]


SYNCED = {
    "novitaInstances": 7,
    "localInstances": 5,
    "adopted": 1,
    "updated": 0,
    "closed": 2,
    "missing": 0,
    "orphans": [
        {
            "novitaInstanceId": "00aa11bb22cc33dd",
            "name": "[red]lost",
            "since": AT,
            "usdPerHour": "0.3500",
            "heldBack": "it is younger than 30 minutes",
        }
    ],
    "lookalikes": [{"novitaInstanceId": "11aa11bb22cc33dd", "name": "clone", "since": AT}],
    "orphansRemoved": 0,
    "adoptions": [{"novitaInstanceId": "22aa11bb22cc33dd", "instanceId": INS, "name": "box"}],
    "confirmedGone": [],
    "errors": [{"code": "INSTANCE_NOT_FOUND", "message": "It is not listed.", "novitaInstanceId": "ff"}],
    "durationMs": 12.5,
    "dryRun": False,
}


async def test_sync_shows_what_was_found_and_sends_what_was_asked(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/instances/sync", Said(body=SYNCED))
        words = ["sync", "--adopt", "a", "--adopt", "b", "--remove-orphans", "--confirm-gone", "--dry-run"]
        shown = await ask(tmp_path, plane.url, *words)
        as_json = await ask(tmp_path, plane.url, "sync", "--json")
    asked, plainly = (seen.body for seen in plane.seen)
    assert asked == {"dryRun": True, "adopt": ["a", "b"], "removeOrphans": True, "confirmGone": True}
    assert plainly == {}
    assert shown.code == 0
    for line in ("orphan 00aa11bb22cc33dd [red]lost $0.3500/h younger", "lookalike 11aa11bb22cc33dd clone", "closed 2"):
        assert any(all(word in row for word in line.split()) for row in shown.out.splitlines()), line
    assert "22aa11bb22cc33dd as box" in shown.out
    assert "INSTANCE_NOT_FOUND ff: It is not listed." in shown.out
    assert as_json.json == SYNCED
