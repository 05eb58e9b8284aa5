"""What runs: the service, a worker, the demo, the simulated cloud, the doctor."""

import asyncio
import resource
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog
import uvicorn
from msgspec import Struct

from novita_gpu import observe
from novita_gpu.api.app import end_held
from novita_gpu.api.protocol import BoundedHttp
from novita_gpu.cloud.base import CloudError, Unauthorized
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.simulator import Running, SimulatorSettings
from novita_gpu.cloud.simulator import running as simulated
from novita_gpu.control.admission import KEY_PREFIX
from novita_gpu.placement import opened_store
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.sinks import observed
from novita_gpu.store.base import StoreError
from novita_gpu.store.local import PrivateValkey
from novita_gpu.wiring import LOOPBACK, VERSION, Plane, keep_secret, opened

log = structlog.get_logger()

# How long a start waits for its records: ten thousand take a second.
KNOWN_WITHIN = timedelta(seconds=10)
# Far above what a slow network needs; without an end each stuck reader would keep a file and its buffers.
UNREAD = timedelta(minutes=2)
# Open files for a thousand streams, the work engine's pool and receivers. Many systems begin with 1,024, or 256.
ENOUGH_FILES = 4_096
# Of the demo: whoever tries it with scripts of their own meets the headers, and not the limit.
DEMO_RATE = 1_000
KEY_PAGE = "https://novita.ai/settings/key-management"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that the doctor looked at."""

    name: str
    ok: bool
    what: str
    todo: str | None = None


class Listener(uvicorn.Server):
    """uvicorn on a socket of ours: tells when it answers, and ends what is held open before it waits for it."""

    def __init__(self, plane: Plane, ready: Callable[[], None]) -> None:
        super().__init__(_config(plane))
        self._plane, self._ready = plane, ready

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own raises the signal again when it has ended, which kills us before the store is left."""
        with _told_to_stop(lambda: self.handle_exit(signal.SIGTERM, None)):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        end_held(self._plane.app)
        await super().shutdown(sockets)


@asynccontextmanager
async def _background(plane: Plane, *, listener: bool, worker: bool) -> AsyncGenerator[None]:
    """What runs beside: the view's feed, the checks of health, the mark of who takes heartbeats, and the worker."""
    async with AsyncExitStack() as stack:
        endless = [
            plane.store.view.follow(),
            plane.health.watch(),
            plane.outages.watch(),
            plane.rates.watch(),
            plane.keyring.note_uses(),
            plane.keep_store(),
        ]
        if listener:
            endless += [plane.listening.watch()]
        for each in endless:
            stack.push_async_callback(_ended, asyncio.ensure_future(each))
        if worker:
            await stack.enter_async_context(plane.work.running())
            await _synchronised(plane)
        yield


async def _known(plane: Plane) -> None:
    """Before its records are in memory a list would be empty; without the store it is all that can be told.

    Nor is it ill before anybody has looked.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_WITHIN.total_seconds()):
            await plane.store.view.first_load()
    await plane.health.check()


async def _synchronised(plane: Plane) -> None:
    """Asks for the comparison of a start; nobody waits for it. Without the store it is made when one is due anyway."""
    with suppress(StoreError):
        await plane.timed_sync.ask()


async def _ended(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def serve(settings: Settings, *, worker: bool = True, ready: Callable[[Plane, str], None] | None = None) -> None:
    """API and worker (or the API alone) until told to stop. Raises `WrongSettings`."""
    _require_key(settings)
    allow_files()
    async with observed(settings, VERSION), opened(settings) as plane:
        _tell_admin_key(plane)
        async with _background(plane, listener=True, worker=worker):
            await _known(plane)
            await _listen(plane, settings.port, ready or _announce)


async def work(settings: Settings) -> None:
    """A worker without an API, until told to stop; with `WORK_PORT` it says there how it is."""
    _require_key(settings)
    allow_files()
    async with (
        observed(settings, VERSION),
        opened(settings, whole=False) as plane,
        _background(plane, listener=False, worker=True),
    ):
        if settings.work_port is None:
            await _stopped()
        else:
            await _known(plane)
            await _listen(plane, settings.work_port, _announce)


async def demo(folder: Path, host: str, port: int, hint: Callable[[str, str], str]) -> None:
    """Simulator, service, worker and private store in one process, on a data folder of their own.

    `hint` makes of its address and key the command that a person is told to try.
    The simulated cloud forgets when it ends, so each demo begins with an empty store; its key stays.
    """
    observe.configure(form="text", level="warning")
    allow_files()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(_demo_cloud(folder))
        await _emptied(folder / "store")
        key = _kept_key(folder)
        settings = Settings.load(
            novita_api_key="sim-key",
            novita_api_base_url=simulator.root,
            novita_calls_per_minute=0,
            rate_limit_per_minute=DEMO_RATE,
            admin_api_key=key,
            data_dir=folder,
            host=host,
            port=port,
            webhook_allow_private=LOOPBACK,
            redis_url=None,
        )
        plane = await stack.enter_async_context(opened(settings))
        await stack.enter_async_context(_background(plane, listener=True, worker=True))
        await _listen(plane, settings.port, lambda _, url: _announce_demo(url, simulator.root, key, hint(url, key)))


@asynccontextmanager
async def _demo_cloud(folder: Path) -> AsyncGenerator[Running]:
    """On the same port each time. It is taken while another demo runs on this folder."""
    port = _kept_port(folder)
    async with AsyncExitStack() as stack:
        try:
            simulator = await stack.enter_async_context(simulated(SimulatorSettings(), host="127.0.0.1", port=port))
        except OSError as fault:
            what = (
                f"another demo runs in {folder}, or something else has port {port}; end it, or choose another --folder"
            )
            raise WrongSettings([("--folder", what)]) from fault
        yield simulator


async def _emptied(store: Path) -> None:
    """The store of the demo before; its server may still run if that demo was killed."""
    if store.exists():
        async with PrivateValkey(store):
            pass
        shutil.rmtree(store)


async def simulate(host: str, port: int) -> None:
    """The simulated cloud alone, until told to stop."""
    async with simulated(SimulatorSettings(), host=host, port=port) as simulator:
        _say(f"The simulated cloud is at {simulator.root}; its key is sim-key.")
        await _stopped()


async def _listen(plane: Plane, at: int, ready: Callable[[Plane, str], None]) -> None:
    """Answers requests until told to stop."""
    with bound(plane.settings.host, at) as its:
        host, port = its.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        await Listener(plane, lambda: ready(plane, url)).serve(sockets=[its])


def _config(plane: Plane) -> uvicorn.Config:
    """Access is logged by the app, with its ids."""
    return uvicorn.Config(
        plane.app,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def bound(host: str, port: int) -> socket.socket:
    """Bound before anything else is told, so that a taken port is a wrong setting and no crash."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    its = socket.socket(family, socket.SOCK_STREAM)
    its.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by what it accepts. Without it a body waits 40 ms for the receipt of its head: the loop sets it only on
    # sockets that name their protocol.
    its.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":  # inherited by what it accepts: who takes nothing for so long is cut off by the system
        its.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD // timedelta(milliseconds=1))
    try:
        its.bind((host, port))
    except OSError as fault:
        its.close()
        what = f"cannot listen on {host}:{port} ({fault.strerror}); choose another, or end what has it"
        raise WrongSettings([("HOST, PORT", what)]) from fault
    return its


async def _stopped() -> None:
    """Until SIGINT or SIGTERM."""
    told = asyncio.Event()
    with _told_to_stop(told.set):
        await told.wait()


@contextmanager
def _told_to_stop(stop: Callable[[], None]) -> Generator[None]:
    loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _require_key(settings: Settings) -> None:
    if settings.novita_api_key is None:
        todo = (
            "set it to a key from https://novita.ai/settings/key-management, or run `novita-gpu demo`, which needs none"
        )
        raise WrongSettings([("NOVITA_API_KEY", todo)])


def _tell_admin_key(plane: Plane) -> None:
    """A key made just now is shown once: to a person at a terminal, else in a file that only we can read."""
    if plane.admin_key is None:
        return
    if sys.stdout.isatty():
        _say(f"Admin key (shown this once): {plane.admin_key}")
    else:
        keep_secret(plane.settings.data_dir / "admin-key", plane.admin_key)


def _kept_key(folder: Path) -> str:
    path = folder / "admin-key"
    if not path.exists():
        keep_secret(path, KEY_PREFIX + secrets.token_urlsafe(32))
    return path.read_text().strip()


def _kept_port(folder: Path) -> int:
    """The simulator's port of the first demo: the store is bound to the cloud's address."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "simulator-port"
    if not path.exists():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            path.write_text(f"{free.getsockname()[1]}\n")
    return int(path.read_text())


def _announce(plane: Plane, url: str) -> None:
    log.info("serving", url=url, version=VERSION, data=str(plane.settings.data_dir))


def _announce_demo(url: str, cloud: str, key: str, hint: str) -> None:
    _say(
        f"novita-gpu {VERSION}, on a simulated cloud: nothing here costs money.\n\n"
        f"  dashboard  {url}/ui (log in with the admin key)\n"
        f"  API        {url}\n"
        f"  docs       {url}/docs\n"
        f"  cloud      {cloud}\n"
        f"  admin key  {key}\n\n"
        "Try in another terminal, in this folder:\n"
        f"  {hint}\n\n"
        "Stop with Ctrl-C. The simulated cloud forgets its machines then; the key stays."
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def diagnose(settings: Settings) -> list[Finding]:
    """Settings, key, cloud and store: what is wrong, and what to do."""
    return [*_settings_found(settings), _files_found(), *await _cloud_found(settings), *await _store_found(settings)]


def allow_files() -> int:
    """As many open files as this process may have; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _files_found() -> Finding:
    files = allow_files()
    is_enough = files == resource.RLIM_INFINITY or files >= ENOUGH_FILES
    return Finding(
        name="files",
        ok=is_enough,
        what=f"{'any number of' if files == resource.RLIM_INFINITY else files} open files are allowed",
        todo=None if is_enough else f"allow {ENOUGH_FILES}, or live streams are few: `ulimit -Hn {ENOUGH_FILES}`",
    )


def _settings_found(settings: Settings) -> list[Finding]:
    has_key = settings.novita_api_key is not None
    return [
        Finding(name="settings", ok=True, what="readable"),
        Finding(
            name="key",
            ok=has_key,
            what="NOVITA_API_KEY is set" if has_key else "NOVITA_API_KEY is not set",
            todo=None if has_key else f"set it to a key from {KEY_PAGE}, or run `novita-gpu demo`, which needs none",
        ),
    ]


async def _cloud_found(settings: Settings) -> list[Finding]:
    if settings.novita_api_key is None:
        return []
    root = settings.novita_api_base_url
    cloud = Novita(settings.novita_api_key.get_secret_value(), root=root)
    try:
        clusters = await cloud.clusters()
        balance = await cloud.balance()
    except Unauthorized as error:
        todo = f"the cloud does not accept the key; make a new one at {KEY_PAGE}"
        return [Finding(name="cloud", ok=False, what=f"{root}: {error.message}", todo=todo)]
    except CloudError as error:
        todo = "check NOVITA_API_BASE_URL and that this machine may reach it"
        return [Finding(name="cloud", ok=False, what=f"{root}: {error.message}", todo=todo)]
    finally:
        await cloud.close()
    return [
        Finding(name="cloud", ok=True, what=f"{root}: {len(clusters)} regions, balance {balance.available_usd} USD")
    ]


async def _store_found(settings: Settings) -> list[Finding]:
    """Whether it answers, and each thing that it should be able to do and is not."""
    try:
        async with opened_store(settings) as store:
            await store.ping()
            found = await store.lacks()
    except (StoreError, OSError) as error:
        todo = (
            "check REDIS_URL" if settings.redis_url else "check that DATA_DIR can be written and its disk is not full"
        )
        return [Finding(name="store", ok=False, what=str(error), todo=todo)]
    what = "a shared server" if settings.redis_url else f"a private Valkey in {settings.data_dir / 'store'}"
    todo = "give its user the right to it, or use another server: docs/redis.md"
    return [
        Finding(name="store", ok=True, what=what),
        *(Finding(name="store", ok=one.can_do_without, what=str(one), todo=todo) for one in found),
    ]
