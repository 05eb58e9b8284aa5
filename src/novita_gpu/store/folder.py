"""The folder of a private server: who may use it, where its socket is, and the locks that say who does.

Locks are `flock`s: the kernel drops them with their holder, however it ends. `server.lock` is held by the server
itself, so a second one on this folder cannot be; `users.lock` is shared by all processes that use it; `turn.lock` is
held by whoever starts or stops it just now.
"""

import fcntl
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

from novita_gpu.store.base import StoreError

# A socket's path has 104 bytes on macOS and 108 on Linux, with the end mark.
SOCKET_PATH_AT_MOST = 100
# Between looks at a lock that another process holds while it starts or stops the server.
LOOK_EVERY_S = 0.02
PRIVATE = 0o700
PID_FILE = "valkey.pid"


class CannotStart(StoreError):
    """The private server cannot be had; the message says why, with the last lines of its log if it has any."""


class Folder:
    """A folder of ours, closed to others. Creating it makes it so, or raises `CannotStart`."""

    def __init__(self, path: Path, environ: Mapping[str, str] | None = None) -> None:
        self.path = _private(path)
        self._environ = os.environ if environ is None else environ
        self.log = self.path / "valkey.log"

    def socket(self) -> Path:
        """Where the server listens, the same for every process: the first to ask writes it down."""
        note = self.path / "socket"
        if note.exists():
            path = Path(note.read_text("utf-8"))
            return path if path.parent == self.path else _private(path.parent, in_shared_place=True) / path.name
        path = self._socket()
        note.write_text(str(path), "utf-8")
        return path

    def forget_socket(self) -> None:
        """The next start chooses anew. Only while nobody uses the server: they would look for it in the old place."""
        (self.path / "socket").unlink(missing_ok=True)

    def _socket(self) -> Path:
        near = self.path / "valkey.sock"
        name = sha256(os.fsencode(self.path)).hexdigest()[:16] + ".sock"
        runtime = self._environ.get("XDG_RUNTIME_DIR")
        if _fits(near):
            return near
        if runtime and Path(runtime).is_dir() and _fits(Path(runtime) / "ngpu" / name):
            return _private(Path(runtime) / "ngpu", in_shared_place=True) / name
        return _private(Path(f"/tmp/ngpu-{os.getuid()}"), in_shared_place=True) / name  # noqa: S108 - checked to be ours

    def pid(self) -> int:
        """Of the server that holds the folder; 0 when none does."""
        note = self.path / PID_FILE
        return int(note.read_text("ascii").strip() or 0) if note.exists() else 0

    def tail(self, lines: int = 6) -> str:
        """The last lines of the server's log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def opened(self, name: str) -> int:
        """A lock file, open and not inherited; to be closed by the caller."""
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @asynccontextmanager
    async def turn(self, pause: Callable[[float], Awaitable[None]]) -> AsyncGenerator[None]:
        """Held while the server is started or stopped; waits until no other process does."""
        lock = self.opened("turn.lock")
        try:
            while not taken(lock):
                await pause(LOOK_EVERY_S)
            yield
        finally:
            os.close(lock)


def taken(lock: int, *, shared: bool = False) -> bool:
    """Takes a lock, or changes how it is held. False: another holds it against us."""
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_AT_MOST


def _private(path: Path, *, in_shared_place: bool = False) -> Path:
    """The folder, resolved, made if need be, and closed to others. In a shared place a link may be another's trap."""
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = path.lstat() if in_shared_place else path.stat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise CannotStart(f"{path} belongs to somebody else, or is no folder; name another, or remove it")
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(PRIVATE)
        return path.resolve()
    except OSError as fault:
        raise CannotStart(f"the folder {path} cannot be used: {fault}") from fault
