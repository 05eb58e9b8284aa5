"""uvicorn on a socket of ours: what answers requests, and how it is told to stop."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

import uvicorn

from novita_gpu.api.app import end_held
from novita_gpu.api.protocol import BoundedHttp
from novita_gpu.settings import WrongSettings
from novita_gpu.wiring import Plane

# Far above what a slow network needs; without an end each stuck reader would keep a file and its buffers.
UNREAD = timedelta(minutes=2)


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


async def listen(plane: Plane, at: int, ready: Callable[[Plane, str], None]) -> None:
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


async def stopped() -> None:
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
