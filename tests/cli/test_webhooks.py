"""What was sent is shown and sent again; and a receiver that checks and prints."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from novita_gpu.webhooks.message import body_of, signed
from tests.cli.process import ask, begin, type_in
from tests.cli.test_market import rows
from tests.client.bodies import DELIVERIES, DELIVERY, ENDPOINT, ENDPOINT_SECRET, ENDPOINTS, REPLAYED, TESTED
from tests.client.plane import Said, serving
from tests.webhooks.outbox import an_event
from tests.webhooks.receiver import OLD_SECRET, SECRET


async def test_deliveries_are_listed_with_their_last_answer(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/webhooks/deliveries", Said(body=DELIVERIES), Said(body={"deliveries": []}))
        shown = await ask(tmp_path, plane.url, "webhooks", "list")
        words = (
            "webhooks list --status exhausted --status pending --instance a --type instance.ready --host h --cursor 7"
        )
        none = await ask(tmp_path, plane.url, *words.split())
    assert rows(shown.out) == [
        "ID EVENT TO STATUS TRIES LAST ANSWER NEXT",
        "msg_1 #12 instance.ready hook.example:8443 pending 2 500 [red]out of order (8 ms) 2026-01-31 12:30",
        "msg_0 #12 instance.ready hook.example:8443 delivered 0 – –",
        "--cursor 41 goes on",
    ]
    assert none.out == "No delivery is like that.\n"
    assert plane.seen[1].query == {
        "status": ["exhausted", "pending"],
        "instanceId": ["a"],
        "type": ["instance.ready"],
        "host": ["h"],
        "limit": ["30"],
        "cursor": ["7"],
    }


async def test_one_or_a_span_is_sent_again(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/webhooks/deliveries/msg_1/replay", Said(202, DELIVERY))
        plane.tell("POST /api/webhooks/deliveries/replay", Said(202, REPLAYED))
        one = await ask(tmp_path, plane.url, "webhooks", "replay", "msg_1")
        words = "webhooks replay --since 2026-01-31T12:00:00Z --until 2026-02-01T00:00:00Z --status exhausted"
        span = await ask(tmp_path, plane.url, *words.split())
    assert one.out == "msg_1 is being sent to hook.example:8443 again.\n"
    assert span.out == "3 will be sent again.\n"
    assert plane.seen[1].body == {
        "since": "2026-01-31T12:00:00.000Z",
        "until": "2026-02-01T00:00:00.000Z",
        "status": ["exhausted"],
    }


async def test_a_test_is_sent(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/webhooks/test", Said(202, TESTED))
        told = await ask(tmp_path, plane.url, "webhooks", "test", "https://hook.example/")
        as_json = await ask(tmp_path, plane.url, "webhooks", "test", "--json")
    assert told.out == "Sent to hook.example:8443.\n"
    assert as_json.json == TESTED
    assert [seen.body for seen in plane.seen] == [{"url": "https://hook.example/"}, {}]


async def test_receivers_are_registered_shown_and_removed(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/webhooks/endpoints", Said(body=ENDPOINTS), Said(body={"endpoints": []}))
        plane.tell("POST /api/webhooks/endpoints", Said(201, ENDPOINT_SECRET))
        plane.tell("POST /api/webhooks/endpoints/whe_1/rotate", Said(200, ENDPOINT_SECRET))
        plane.tell("PATCH /api/webhooks/endpoints/whe_1", Said(200, ENDPOINT))
        plane.tell("DELETE /api/webhooks/endpoints/whe_1", Said(200, ENDPOINT))
        told = [
            await ask(tmp_path, plane.url, "webhooks", *words.split())
            for words in (
                "endpoints",
                "endpoints",
                "add https://hook.example/ --type instance.ready",
                "rotate whe_1",
                "switch whe_1 --off",
                "remove whe_1",
            )
        ]
    listed, none, added, rotated, off, removed = [rows(each.out) for each in told]
    assert listed[1] == "whe_1 https://hook.example/[red] instance.ready off: nothing but failures for 5 days"
    assert none == ["None is registered. `novita-gpu webhooks add URL` registers one."]
    assert f"secret {SECRET}" in added
    assert rotated[-1] == "the one before signs too until 2026-02-01 12:00"
    assert (off, removed) == (["whe_1 is off."], ["whe_1 is removed."])
    assert [seen.body for seen in plane.seen if seen.body] == [
        {"url": "https://hook.example/", "types": ["instance.ready"]},
        {"enabled": False},
    ]


class Listening:
    """`webhooks listen` as a process, and a sender to it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    async def send(self, number: int, secret: str, at: datetime | None = None) -> int:
        """What it answers to an event that is signed with this secret."""
        body = body_of(an_event(number))
        headers = signed(f"msg_{number}", body, [secret], at or datetime.now(UTC))
        async with aiohttp.ClientSession() as http, http.post(self.url, data=body, headers=headers) as answer:
            return answer.status

    async def line(self) -> str:
        assert self.process.stdout
        async with asyncio.timeout(10):
            return (await self.process.stdout.readline()).decode().rstrip("\n")


@asynccontextmanager
async def listening(folder: Path, *words: str) -> AsyncGenerator[Listening]:
    process = await begin(folder, "webhooks", "listen", "--port", "0", *words)
    try:
        said = process.stderr if "--json" in words else process.stdout
        assert said
        async with asyncio.timeout(30):
            line = (await said.readline()).decode()
        assert line.startswith("listening on "), line
        yield Listening(process, line.split()[-1])
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


async def test_what_is_received_is_checked_and_printed(tmp_path: Path) -> None:
    async with listening(tmp_path, "--secret", SECRET, "--secret", OLD_SECRET) as receiver:
        assert await receiver.send(7, OLD_SECRET) == 204
        assert await receiver.send(7, SECRET) == 204
        assert await receiver.send(8, "whsec_" + "A" * 32) == 401
        assert await receiver.send(9, SECRET, datetime(2026, 1, 31, tzinfo=UTC)) == 401
        told = [await receiver.line() for _ in range(4)]
    assert [" ".join(line.split()) for line in told] == [
        "7 instance.ready grün answers on all its ports",
        "7 instance.ready grün answers on all its ports (again)",
        "REFUSED msg_8: No matching signature found",
        "REFUSED msg_9: Message timestamp too old",
    ]


async def test_the_secret_of_a_service_on_this_machine_is_found(tmp_path: Path) -> None:
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "webhook-secret").write_text(SECRET + "\n")
    async with listening(tmp_path, "--json") as receiver:
        await receiver.send(7, SECRET)
        told = json.loads(await receiver.line())
    assert (told["webhookId"], told["body"]["data"]["sequence"]) == ("msg_7", 7)
    assert "refused" not in told


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async with listening(tmp_path, "--secret", SECRET) as receiver:
        port = receiver.url.rsplit(":", 1)[1].rstrip("/")
        told = await type_in(tmp_path, "webhooks", "listen", "--port", port, "--secret", SECRET, "--json")
    assert (told.code, told.error["code"]) == (2, "CANNOT_START")


@pytest.mark.parametrize("secret", ["whsec_", "nonsense!", ""])
async def test_a_secret_that_is_none_is_refused(tmp_path: Path, secret: str) -> None:
    told = await type_in(tmp_path, "webhooks", "listen", "--port", "0", "--secret", secret, "--json")
    assert (told.code, told.error["code"]) == (2, "WRONG_USAGE")
