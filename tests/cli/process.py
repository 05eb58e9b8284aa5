"""The real program, as a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.client.plane import KEY


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that --json tells on stderr."""
        return json.loads(self.err)["error"]


def environment(**variables: str) -> dict[str, str]:
    """Ours without what would steer the program."""
    steering = {"NOVITA_GPU_URL", "NOVITA_GPU_KEY", "DATA_DIR", "PORT", "HOST"}
    kept = {name: value for name, value in os.environ.items() if name not in steering}
    return {**kept, "TZ": "UTC", **variables}


async def begin(folder: Path, *args: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "novita_gpu.cli"),
        *args,
        cwd=folder,
        env=environment(**variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Ended:
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert "Traceback" not in err.decode()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def type_in(folder: Path, *args: str, **variables: str) -> Ended:
    return await ended(await begin(folder, *args, **variables))


async def ask(folder: Path, url: str, *args: str) -> Ended:
    """With address and key in the environment."""
    return await type_in(folder, *args, NOVITA_GPU_URL=url, NOVITA_GPU_KEY=KEY)
