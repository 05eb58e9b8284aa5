"""Everything of one process, built and connected."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from litestar import Litestar

from novita_gpu.api.keyring import StoredKeyring
from novita_gpu.cloud.base import MUTATION_TIMEOUT
from novita_gpu.cloud.metered import Metered
from novita_gpu.control.commands import Commands
from novita_gpu.control.health import Health
from novita_gpu.control.listening import Listening
from novita_gpu.control.outages import Outages
from novita_gpu.control.rates import Rates
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.timed_sync import TimedSync
from novita_gpu.placement import placed
from novita_gpu.policies import pace_of
from novita_gpu.settings import Settings
from novita_gpu.store import Store
from novita_gpu.wiring.gauges import gauges
from novita_gpu.wiring.ground import ground
from novita_gpu.wiring.passes import passes
from novita_gpu.wiring.service import service
from novita_gpu.work import Work


@dataclass(frozen=True, kw_only=True)
class Plane:
    settings: Settings
    store: Store
    cloud: Metered
    work: Work
    commands: Commands
    reconciler: Reconciler
    sweep: Sweep
    timed_sync: TimedSync
    listening: Listening
    health: Health
    outages: Outages
    rates: Rates
    app: Litestar
    keyring: StoredKeyring
    admin_key: str | None  # only if it was made just now
    keep_store: Callable[[], Coroutine[object, object, None]]  # for ever: our own server is started again when it dies


@asynccontextmanager
async def opened(
    settings: Settings, *, whole: bool = True, mutation_timeout: timedelta = MUTATION_TIMEOUT
) -> AsyncGenerator[Plane]:
    """The plane of one process, without its worker and its listener. Not `whole`: its app only says how it is.

    Raises `WrongSettings`.
    """
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(settings, pace_of(settings)))
        base = await ground(settings, place, stack, mutation_timeout)
        made = await passes(base, stack)
        told = gauges(base, made)
        answers = await service(base, made, told, whole=whole)
        await place.remember()
        yield Plane(
            settings=settings,
            store=place.store,
            cloud=base.cloud,
            work=place.work,
            commands=answers.commands,
            reconciler=made.reconciler,
            sweep=made.sweep,
            timed_sync=made.timed_sync,
            listening=place.listening,
            health=told.health,
            outages=told.outages,
            rates=told.rates,
            app=answers.app,
            keyring=answers.keyring,
            admin_key=answers.admin_key,
            keep_store=place.keep,
        )
