"""The limit of open files is raised as far as it may be, and the doctor says how far that was."""

import asyncio
import sys
from pathlib import Path

import pytest

from novita_gpu.programs import ENOUGH_FILES
from tests.cli.process import ended, environment


@pytest.mark.parametrize(
    ("limits", "files"), [("ulimit -Sn 256 && ulimit -Hn 4096", ENOUGH_FILES), ("ulimit -n 300", 300)]
)
async def test_the_doctor_tells_how_many_files_may_be_open(tmp_path: Path, limits: str, files: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'{limits} && exec "$@"', "sh"),
        *(sys.executable, "-m", "novita_gpu.cli", "doctor", "--json"),
        cwd=tmp_path,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = (await ended(process)).json["findings"]
    (found,) = (finding for finding in told if finding["name"] == "files")
    assert found["what"] == f"{files} open files are allowed"
    assert found["ok"] == (files >= ENOUGH_FILES)
    assert found["ok"] == (found.get("todo") is None)
