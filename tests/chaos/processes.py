"""Real programs that are killed: the simulated cloud, a store, the service; and how each is kept running.

Each program has a shell beside it that ends it when the tests end, however they end.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from novita_gpu.client import ApiError, Client, NotReachable
from novita_gpu.store.local import find_server
from tests.cli.process import environment
from tests.plane import KEY, QUICK_TIMING

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0
# Between the end of a program and its next start, as a service manager waits.
START_AGAIN_S = 0.2
KILLED = 128 + signal.SIGKILL
# What asks to end before its handler is set ends as the signal does.
TOLD_TO_END = 128 + signal.SIGTERM
CUT_OFF = (NotReachable, ApiError)
# Tells the program's process id, and ends the program when the pipe to it closes; ends as the program ended.
WATCHED = """
log=$1; shift
exec 3<&0
"$@" 3<&- < /dev/null >> "$log" 2>&1 & program=$!
echo "$program"
(read -r _ <&3; kill "$program") 2> /dev/null & watch=$!
wait "$program"; code=$?
kill "$watch"
exit "$code"
"""


class Program:
    """One that runs. What it says is appended to `log`."""

    def __init__(self, pid: int, shell: asyncio.subprocess.Process, log: Path) -> None:
        self.pid, self.log = pid, log
        self._shell = shell

    def kill(self) -> None:
        """At once, as a machine that loses power."""
        self._signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself or by a signal (128 + number)."""
        return await self._shell.wait()

    async def end(self) -> int:
        """Its exit code, after it was asked to end. `TimeoutError`: it did not, and was killed."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                return await self.ended()
        finally:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._shell.returncode is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(self.pid, number)

    def told(self) -> str:
        return self.log.read_text(errors="replace")


async def start(folder: Path, name: str, *words: str, **variables: str) -> Program:
    """Whoever starts a program ends it."""
    log = folder / f"{name}.log"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", WATCHED, name, str(log), *words),
        cwd=folder,
        env=environment(**variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert shell.stdout
    return Program(int(await shell.stdout.readline()), shell, log)


@asynccontextmanager
async def running(folder: Path, name: str, *words: str, **variables: str) -> AsyncGenerator[Program]:
    program = await start(folder, name, *words, **variables)
    try:
        yield program
    finally:
        await program.end()


class Kept:
    """A program that is started again whenever it ends. `codes`: how it ended each time."""

    def __init__(self, folder: Path, name: str, *words: str, **variables: str) -> None:
        self.name = name
        self.codes: list[int] = []
        self._folder, self._words, self._variables = folder, words, variables
        self._program: Program | None = None
        self._start_or_leave = asyncio.Lock()
        self._is_left = False
        folder.mkdir(exist_ok=True)

    @property
    def pid(self) -> int:
        """Of the last that was started."""
        return self._program.pid if self._program else 0

    def kill(self) -> None:
        """Wherever it stands, also while it starts; nothing while there is none."""
        if self._program:
            self._program.kill()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Kept"]:
        program = await self._start()
        keeping = asyncio.create_task(self._keep(program))
        try:
            yield self
        finally:
            async with self._start_or_leave:
                self._is_left, last = True, self._program or program
            code = await last.end()
            await keeping
        assert code in {0, TOLD_TO_END}, last.told()[-5000:]

    async def _keep(self, program: Program) -> None:
        while True:
            code = await program.ended()
            await asyncio.sleep(START_AGAIN_S)
            async with self._start_or_leave:
                if self._is_left:
                    return
                self.codes.append(code)
                program = await self._start()

    async def _start(self) -> Program:
        self._program = await start(self._folder, self.name, *self._words, **self._variables)
        return self._program


def command(*words: str) -> tuple[str, ...]:
    """`novita-gpu` of this environment; a warning is an error."""
    return (sys.executable, "-W", "error", "-m", "novita_gpu.cli", *words)


def settings(folder: Path, cloud_port: int) -> dict[str, str]:
    """Of a service on the simulated cloud that looks often."""
    return {
        "NOVITA_API_KEY": "sim-key",
        "NOVITA_API_BASE_URL": f"http://127.0.0.1:{cloud_port}",
        "NOVITA_CALLS_PER_MINUTE": "0",
        "RATE_LIMIT_PER_MINUTE": "0",
        "ADMIN_API_KEY": KEY,
        "DATA_DIR": str(folder),
        "CREATE_SETTLE_SECONDS": "1",
        "POLL_MOVING_SECONDS": "0.5",
        "LOG_LEVEL": "error",
    }


def durable_store(folder: Path, socket_path: Path) -> Kept:
    """A server that has on its disk whatever it acknowledged."""
    data = folder / "store"
    return Kept(
        data,
        "store",
        *(str(find_server()), "--port", "0", "--unixsocket", str(socket_path), "--dir", str(data)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"),
    )


@asynccontextmanager
async def simulated_cloud(folder: Path, port: int, **timing: float) -> AsyncGenerator["Cloud"]:
    """A simulated cloud that outlives the services on it."""
    async with running(folder, "simulate", *command("simulate", "--port", str(port))), aiohttp.ClientSession() as http:
        cloud = Cloud(f"http://127.0.0.1:{port}/_sim", http)
        await cloud.answering()
        quick = {"serviceS": QUICK_TIMING.service_s, "creatingS": 0.2, "pullingS": 0.3, "toCreateS": 0.1}
        await cloud.do("timing", **quick, **timing)
        yield cloud


class Cloud:
    """The control face of a simulated cloud in another process."""

    def __init__(self, control: str, http: aiohttp.ClientSession) -> None:
        self._control, self._http = control, http

    async def ask(self, what: str, **query: str) -> Any:
        async with self._http.get(f"{self._control}/{what}", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def do(self, what: str, *several: dict[str, Any], **fields: Any) -> Any:
        """One command; `several` are sent as a list."""
        body = several if several or not fields else fields
        async with self._http.post(f"{self._control}/{what}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def audit(self) -> Any:
        return await self.ask("audit")

    async def counts(self) -> dict[str, int]:
        """Calls received so far, by operation."""
        told: dict[str, int] = (await self.ask("calls", op="none"))["counts"]
        return told

    async def answering(self) -> None:
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                with suppress(aiohttp.ClientError):
                    await self.counts()
                    return
                await asyncio.sleep(0.02)


async def answering(client: Client) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            with suppress(*CUT_OFF):
                await client.health()
                return


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
