"""`stop-all` shows what bills and asks before it stops it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Ended, ask, ended, environment
from tests.client.plane import INS, KEY, Plane, Said, serving

ROUTE = "POST /api/instances/stop-all"


def bulk(status: str, **more: Any) -> dict[str, Any]:
    return {"count": 1, "results": [{"instanceId": INS, "name": "trainer-1", "status": status, **more}]}


async def test_a_dry_run_stops_nothing(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(ROUTE, Said(202, bulk("ready")), Said(202, bulk("ready")))
        shown = await ask(tmp_path, plane.url, "stop-all", "--dry-run")
        as_json = await ask(tmp_path, plane.url, "stop-all", "--dry-run", "--json")
    assert [seen.body for seen in plane.seen] == [{"dryRun": True}] * 2
    assert "trainer-1  ready" in shown.out
    assert "dry run" in shown.out
    assert as_json.json == bulk("ready")


async def test_with_yes_nobody_is_asked_and_what_went_wrong_is_told(tmp_path: Path) -> None:
    async with serving() as plane:
        failed = bulk("ready", error={"code": "STORE_UNAVAILABLE", "message": "no"})
        plane.tell(ROUTE, Said(202, bulk("stopping")), Said(202, failed))
        done = await ask(tmp_path, plane.url, "stop-all", "--yes", "--json")
        not_done = await ask(tmp_path, plane.url, "stop-all", "--yes")
    assert [seen.body for seen in plane.seen] == [{"dryRun": False}] * 2
    assert (done.code, done.json) == (0, bulk("stopping"))
    assert not_done.code == 1
    assert "STORE_UNAVAILABLE: no" in not_done.out


async def test_without_a_terminal_it_stops_nothing(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(ROUTE, Said(202, bulk("ready")))
        process = await begin_with(asyncio.subprocess.DEVNULL, tmp_path, plane)
        refused = await ended(process)
    assert [seen.body for seen in plane.seen] == [{"dryRun": True}]
    assert refused.code == 2
    assert "--yes" in refused.err


@pytest.mark.parametrize(("word", "code", "asked"), [("y", 0, [True, False]), ("n", 1, [True])])
async def test_a_person_is_asked(tmp_path: Path, word: str, code: int, asked: list[bool]) -> None:
    async with serving() as plane:
        plane.tell(ROUTE, Said(202, bulk("ready")), Said(202, bulk("stopping")))
        done = await answering(word, tmp_path, plane)
    assert (done.code, [seen.body["dryRun"] for seen in plane.seen]) == (code, asked)
    assert "trainer-1  ready" in done.out
    assert "Stop 1?" in done.err


async def answering(word: str, folder: Path, plane: Plane) -> Ended:
    """At a terminal, where this is typed."""
    ours, theirs = os.openpty()
    try:
        process = await begin_with(theirs, folder, plane)
        os.write(ours, f"{word}\n".encode())
        return await ended(process)
    finally:
        os.close(ours)
        os.close(theirs)


async def begin_with(stdin: int, folder: Path, plane: Plane) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "novita_gpu.cli", "stop-all"),
        cwd=folder,
        env=environment(NOVITA_GPU_URL=plane.url, NOVITA_GPU_KEY=KEY),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
