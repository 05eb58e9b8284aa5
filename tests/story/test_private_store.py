"""The private store dies, or its disk is full: reads go on, writes are refused for a while, and nothing is lost."""

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from novita_gpu.store import local
from novita_gpu.store.local import find_server
from tests.plane import WITHIN_MS, Answer, Service, serving

# What a server may write to a file, in blocks of the shell: a service begins within it and fills it with some changes.
FULL = 600
LONG = "x" * 1500
# By then it is started again only after more than a write waits for it.
DEATHS = 6
_numbers = count(1)


async def written_until(service: Service, holds: Callable[[Answer], bool]) -> tuple[Answer, str]:
    """Changes until one is answered so, and the last that was accepted. All reads meanwhile are answered."""
    accepted = ""
    async with asyncio.timeout(WITHIN_MS / 1000):
        while True:
            receiver = f"https://receiver.example/{next(_numbers)}/{LONG}"
            answer = await service.ask("PATCH", "/instances/trainer", {"webhookUrl": receiver})
            accepted = receiver if answer.status == 200 else accepted
            assert (await service.get("/instances/trainer")).status == 200
            assert (await service.get("/instances")).json["total"] == 1
            if holds(answer):
                return answer, accepted


def is_refused(answer: Answer) -> bool:
    return answer.status != 200


def is_accepted(answer: Answer) -> bool:
    return answer.status == 200


def check_refusal(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "STORE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_private_store_that_is_killed_is_back_by_itself_and_reads_never_fail(tmp_path: Path) -> None:
    """At once the first time, so that a write only waits; each time later, and then it is refused."""
    async with serving(tmp_path) as service:
        await service.ready()
        answers: list[Answer] = []
        while not any(map(is_refused, answers)):
            assert len(answers) < DEATHS
            os.kill(int((tmp_path / "store" / "valkey.pid").read_text()), signal.SIGKILL)
            answers.append((await written_until(service, lambda _: True))[0])
            _, accepted = await written_until(service, is_accepted)
            assert (await service.instance())["webhookUrl"] == accepted
        check_refusal(answers[-1])
        assert (await service.post("/instances/trainer/stop")).status == 202
        await service.until("stopped")
        assert service.audit()["everCreated"] == 1


async def test_a_full_disk_refuses_writes_until_there_is_room_and_what_was_accepted_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `appendfsync always` a server that cannot write ends: it is started again and again."""
    limited, room = tmp_path / "limited", tmp_path / "room"
    room.write_text(str(FULL))
    limited.write_text(f"#!/bin/sh\nulimit -f $(cat {room}); trap '' XFSZ; exec {find_server()} \"$@\"\n")
    limited.chmod(0o755)
    monkeypatch.setattr(local, "find_server", lambda: limited)
    async with serving(tmp_path / "data") as service:
        await service.ready()
        refused, accepted = await written_until(service, is_refused)
        check_refusal(refused)
        assert (await service.instance())["webhookUrl"] == accepted
        room.write_text("unlimited")
        _, last = await written_until(service, is_accepted)
        assert (await service.instance())["webhookUrl"] == last
        told = [event for event in await service.events() if event["type"] == "instance.updated"]
        assert len({event["id"] for event in told}) == len(told) >= 2
