"""T12: what only a whole process shows."""

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


async def said(folder: Path, **variables: str) -> str:
    """What it logs from its start over one request to its end."""
    async with running(SimulatorSettings()) as cloud:
        away = {"NOVITA_API_KEY": "sim-key", "NOVITA_API_BASE_URL": cloud.root, "ADMIN_API_KEY": KEY}
        process = await begin(folder, "serve", **away, **variables)
        assert process.stderr
        first = b""
        while b"serving" not in first:
            first += await process.stderr.readline()
        async with aiohttp.ClientSession() as http, http.get(f"http://{variables['HOST']}:{variables['PORT']}/health"):
            pass
        process.send_signal(signal.SIGTERM)
        after = await ended(process)
    assert after.code == 0, after.err
    return first.decode() + after.err
