"""The demo, and the simulated cloud alone."""

import secrets
import shutil
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from novita_gpu import observe
from novita_gpu.cloud.simulator import Running, SimulatorSettings
from novita_gpu.cloud.simulator import running as simulated
from novita_gpu.control.admission import KEY_PREFIX
from novita_gpu.programs.files import allow_files
from novita_gpu.programs.listener import listen, stopped
from novita_gpu.programs.service import background, say
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store.local import PrivateValkey
from novita_gpu.wiring import LOOPBACK, VERSION, keep_secret, opened

# Whoever tries it with scripts of their own meets the headers, and not the limit.
RATE = 1_000


async def demo(folder: Path, host: str, port: int, hint: Callable[[str, str], str]) -> None:
    """Simulator, service, worker and private store in one process, on a data folder of their own.

    `hint` makes of its address and key the command that a person is told to try.
    The simulated cloud forgets when it ends, so each demo begins with an empty store; its key stays.
    """
    observe.configure(form="text", level="warning")
    allow_files()
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(_cloud(folder))
        await _emptied(folder / "store")
        key = _kept_key(folder)
        settings = Settings.load(
            novita_api_key="sim-key",
            novita_api_base_url=simulator.root,
            novita_calls_per_minute=0,
            rate_limit_per_minute=RATE,
            admin_api_key=key,
            data_dir=folder,
            host=host,
            port=port,
            webhook_allow_private=LOOPBACK,
            redis_url=None,
        )
        plane = await stack.enter_async_context(opened(settings))
        await stack.enter_async_context(background(plane, listener=True, worker=True))
        await listen(plane, settings.port, lambda _, url: _announce(url, simulator.root, key, hint(url, key)))


@asynccontextmanager
async def _cloud(folder: Path) -> AsyncGenerator[Running]:
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
        say(f"The simulated cloud is at {simulator.root}; its key is sim-key.")
        await stopped()


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


def _announce(url: str, cloud: str, key: str, hint: str) -> None:
    say(
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
