"""T12: what only a whole process shows."""

import asyncio
import json
import signal
from pathlib import Path

import aiohttp

from novita_gpu.cloud.simulator import SimulatorSettings, running
from tests.chaos.processes import free_port
from tests.cli.process import begin, ended
from tests.plane import KEY


async def test_it_listens_where_it_is_told_and_says_what_is_asked(tmp_path: Path) -> None:
    """LOG_FORMAT=text and LOG_LEVEL=debug against the defaults of a program that is no terminal: json and info."""
    port = free_port()
    where = {"HOST": "127.0.0.2", "PORT": str(port)}
    for name in ("loud", "quiet"):
        (tmp_path / name).mkdir()
    loud = await said(tmp_path / "loud", **where, LOG_FORMAT="text", LOG_LEVEL="debug")
    assert f"http://127.0.0.2:{port}" in loud
    assert "[debug" in loud
    quiet = [json.loads(line) for line in (await said(tmp_path / "quiet", **where)).splitlines()]
    assert "debug" not in {line["level"] for line in quiet}
    assert [line["url"] for line in quiet if line["event"] == "serving"] == [f"http://127.0.0.2:{port}"]


async def test_a_worker_says_how_it_is_where_it_is_told_and_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    root, key = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {KEY}"}
    async with running(SimulatorSettings()) as cloud, aiohttp.ClientSession(headers=key) as http:
        away = {"NOVITA_API_KEY": "sim-key", "NOVITA_API_BASE_URL": cloud.root, "ADMIN_API_KEY": KEY}
        process = await begin(tmp_path, "work", **away, WORK_PORT=str(port))
        await first_line(process, "serving")
        health, metrics, live, api, page = [
            await asked(http, root + path) for path in ("/health", "/metrics", "/health/live", "/api/instances", "/ui")
        ]
        async with http.get(f"{root}/metrics", headers={"Authorization": "Bearer no-key-of-ours-at-all"}) as refused:
            assert refused.status == 401
        process.send_signal(signal.SIGTERM)
        assert (await ended(process)).code == 0
    assert json.loads(health[1])["services"]["jobQueue"] == "up"
    assert "novita_gpu_job_duration_seconds" in metrics[1]
    assert [live[0], api[0], page[0]] == [200, 404, 404]


async def asked(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(url) as answer:
        return answer.status, await answer.text()


async def first_line(process: asyncio.subprocess.Process, event: str) -> bytes:
    """All that it logs until this has happened."""
    assert process.stderr
    told = b""
    while event.encode() not in told:
        line = await process.stderr.readline()
        assert line, told.decode()
        told += line
    return told


async def said(folder: Path, **variables: str) -> str:
    """What it logs from its start over one request to its end."""
    async with running(SimulatorSettings()) as cloud:
        away = {"NOVITA_API_KEY": "sim-key", "NOVITA_API_BASE_URL": cloud.root, "ADMIN_API_KEY": KEY}
        process = await begin(folder, "serve", **away, **variables)
        first = await first_line(process, "serving")
        async with aiohttp.ClientSession() as http, http.get(f"http://{variables['HOST']}:{variables['PORT']}/health"):
            pass
        process.send_signal(signal.SIGTERM)
        after = await ended(process)
    assert after.code == 0, after.err
    return first.decode() + after.err
