"""What a demo says to try works as it stands there."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from novita_gpu.cli.access import URL
from novita_gpu.cli.hint import first_command
from tests.cli.process import Ended, begin, ended, environment

MARK = "create first"


@pytest.mark.parametrize("folder", [".demo", "my demo"])
async def test_its_hint_works_on_another_port_and_in_another_folder(tmp_path: Path, folder: str) -> None:
    demo = await begin(tmp_path, "demo", "--port", "0", "--folder", folder)
    try:
        first = await run(await hint(demo), tmp_path)
    finally:
        demo.send_signal(signal.SIGINT)
        await ended(demo)
    assert first.code == 0, first.err
    assert "first  ready" in first.err


def test_a_service_beside_it_does_not_lend_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_DIR", raising=False)
    for folder in ("data", ".demo"):
        Path(folder).mkdir()
        Path(folder, "admin-key").write_text(f"key of {folder}\n")
    assert first_command(URL, Path(".demo"), "key of .demo").endswith('--key "$(cat .demo/admin-key)"')
    Path("data", "admin-key").unlink()
    assert first_command(URL, Path(".demo"), "key of .demo").endswith("--wait")


async def hint(demo: asyncio.subprocess.Process) -> str:
    assert demo.stdout
    async with asyncio.timeout(60):
        while MARK not in (line := (await demo.stdout.readline()).decode()):
            assert not demo.stdout.at_eof(), "the demo did not start"
    return line


async def run(command: str, folder: Path) -> Ended:
    """As a person pastes it."""
    process = await asyncio.create_subprocess_shell(
        command,
        cwd=folder,
        env=environment(PATH=os.defpath),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ended(process)
