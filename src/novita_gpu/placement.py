"""Where the store is: a private server, a shared one, or a shared one with a private one behind it."""

import json
import os
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from novita_gpu.control.admission import ADMIN_HASH
from novita_gpu.control.journal import Journal
from novita_gpu.control.listening import Listening
from novita_gpu.control.restoring import Restoring
from novita_gpu.control.sides import TwoSides
from novita_gpu.domain.ids import ENTROPY_BYTES, ulid
from novita_gpu.domain.instance import InstanceId
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store import Store, open_store
from novita_gpu.store.fallback import Fallback, answers_at
from novita_gpu.store.local import PrivateValkey
from novita_gpu.store.pace import Pace
from novita_gpu.store.slot import Slots
from novita_gpu.store.wire import Wire, connect
from novita_gpu.work import Work

log = structlog.get_logger()

# What makes a store this deployment's. Kept in the data folder, so that a start while the shared store is out knows it.
FACTS = ("cloud-root", "deployment", "webhook-secret", ADMIN_HASH)
FACTS_FILE = "shared-store.json"


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    return f"{prefix}_{ulid(utc_now(), os.urandom(ENTROPY_BYTES))}"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The store with its work queue, wherever they are. `keep` sees to it for ever."""

    store: Store
    work: Work
    listening: Listening
    fallback: Fallback | None
    is_shared: bool
    keep: Callable[[], Coroutine[object, object, None]]
    remember: Callable[[], Coroutine[object, object, None]]  # what a start without the shared store has to know


@asynccontextmanager
async def placed(settings: Settings, pace: Pace) -> AsyncGenerator[Placed]:
    """Raises `WrongSettings`, and `CannotStart` where no private server can be had."""
    async with AsyncExitStack() as stack:
        url = settings.redis_url.get_secret_value() if settings.redis_url else None
        if url and settings.redis_fallback:
            yield await _with_fallback(settings, url, pace, stack)
            return
        keep = _nothing
        if url is None:
            valkey = await stack.enter_async_context(PrivateValkey(settings.data_dir / "store"))
            url, keep = valkey.url, valkey.supervise
        store = await stack.enter_async_context(_store(settings, url))
        work = _work(settings, store, url, pace)
        if settings.redis_url:
            _demanded(await _unfit(store, work, url))
        await stack.enter_async_context(work.open())
        facts: dict[str, str] = {}
        store.view.on_emptied(Restoring(store, facts, utc_now, new_id).restore)

        async def remember() -> None:
            facts.update(await _facts(store))

        yield Placed(
            store=store,
            work=work,
            listening=Listening(store, utc_now, _name()),
            fallback=None,
            is_shared=settings.redis_url is not None,
            keep=keep,
            remember=remember,
        )


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncGenerator[Store]:
    """The store alone: the shared one, or the private one, which is ours until the context ends.

    Raises `CannotStart`.
    """
    async with AsyncExitStack() as stack:
        url = settings.redis_url.get_secret_value() if settings.redis_url else None
        if url is None:
            url = (await stack.enter_async_context(PrivateValkey(settings.data_dir / "store"))).url
        yield await stack.enter_async_context(_store(settings, url))


async def _with_fallback(settings: Settings, url: str, pace: Pace, stack: AsyncExitStack) -> Placed:
    store = await stack.enter_async_context(_store(settings, url))
    work = _work(settings, store, url, pace)
    listening, path = Listening(store, utc_now, _name()), settings.data_dir / FACTS_FILE
    facts = _read(path)

    async def remember() -> None:
        if not store.is_away:
            facts.update(await _facts(store))
            _write(path, facts)

    store.view.on_emptied(Restoring(store, facts, utc_now, new_id).restore)
    sides = TwoSides(
        store=store,
        listening=listening,
        facts=facts,
        journal_of=lambda other: Journal(other, Silent(), new_id, settings.webhook_url),
        now=utc_now,
        new_id=new_id,
    )

    async def unfit(shared: Store) -> str:
        return "; ".join(await _unfit(shared, work, url))

    async def answers() -> bool:
        return await answers_at(asked)

    asked = Wire(connect(url, connections=1))
    stack.push_async_callback(asked.close)
    calm_s = 2 * pace.health.total_seconds()  # a fault on the way is noticed at once
    fallback = Fallback(
        store=store,
        shared=url,
        shelter=Slots(settings.data_dir / "fallback"),
        sides=sides,
        work=work,
        opened=lambda where: _store(settings, where),
        answers=answers,
        unfit=unfit,
        now=utc_now,
        calm_s=calm_s,
    )
    stack.push_async_callback(fallback.close)
    if not await fallback.is_there():
        await _begun_away(fallback, store, work, facts)
    else:
        _demanded(await _unfit(store, work, url))
    await stack.enter_async_context(work.open())
    return Placed(
        store=store,
        work=work,
        listening=listening,
        fallback=fallback,
        is_shared=True,
        keep=fallback.watch,
        remember=remember,
    )


async def _unfit(store: Store, work: Work, url: str) -> list[str]:
    """Tries what the shared server can do, and answers what lacks. Work polls where reads do not block."""
    found = await store.lacks()
    for lack in found:
        if lack.can_do_without:
            log.warning("store.lacks", what=lack.what, why=lack.why, so=lack.so)
    work.polls(url if found else None)
    return [str(lack) for lack in found if not lack.can_do_without]


def _demanded(lacks: Sequence[str]) -> None:
    """Raises `WrongSettings` where something lacks: nothing is stored on such a server."""
    if lacks:
        raise WrongSettings([("REDIS_URL", lack) for lack in lacks])


async def _begun_away(fallback: Fallback, store: Store, work: Work, facts: dict[str, str]) -> None:
    """Who never saw the shared store does not know whose machines are its own."""
    if "deployment" not in facts:
        what = "does not answer, and nothing is known here of what is in it; start once while it does"
        raise WrongSettings([("REDIS_URL", what)])
    url = await fallback.begin_away()
    await store.wire.turn_to(url)
    work.begins_at(url)


def _store(settings: Settings, url: str) -> Store:
    closed_for = timedelta(days=settings.deleted_retention_days)
    finished_for = timedelta(days=settings.event_retention_days)
    return open_store(url, prefix=settings.redis_key_prefix, closed_for=closed_for, finished_for=finished_for)


def _work(settings: Settings, store: Store, url: str, pace: Pace) -> Work:
    return Work(url, store.keys.work, moving=settings.moving, pace=pace)


def _name() -> str:
    """Of this process among all that share the store."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"


async def _facts(store: Store) -> dict[str, str]:
    return {name: value for name in FACTS if (value := await store.facts.fact(name))}


def _read(path: Path) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(path: Path, facts: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file)


async def _nothing() -> None:
    """A shared server is kept by whoever shares it."""


class Silent:
    """A bell that nobody hears: what it would ring for is found by the listing that follows."""

    async def ring(self, instance: InstanceId) -> None: ...

    async def alarm(self, instance: InstanceId, at: datetime) -> None: ...

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None: ...

    async def look(self, at: datetime) -> None: ...

    async def outbox(self) -> None: ...
