"""What everything else of a process stands on: its store, the cloud, and what is kept of the cloud's catalogue."""

import os
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from novita_gpu.cloud.metered import Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.wire import root_of
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.journal import Journal
from novita_gpu.control.utilisation import Utilisation
from novita_gpu.domain.ids import deployment_id
from novita_gpu.domain.limits import Limits
from novita_gpu.egress import Networks
from novita_gpu.figures import Figures
from novita_gpu.placement import Placed, new_id, utc_now
from novita_gpu.policies import idle_policy_of, limits_of
from novita_gpu.settings import Settings, WrongSettings, is_loopback
from novita_gpu.store import Store

VERSION = "0.1.0"
LOOPBACK = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`novita` is the client itself, for its own view of the cloud; calls go through `cloud`, which counts them.

    `process` names this process among all others.
    """

    settings: Settings
    place: Placed
    deployment: str
    process: str
    novita: Novita
    cloud: Metered
    catalogue: Catalogue
    utilisation: Utilisation
    journal: Journal
    limits: Limits
    figures: Figures
    mutation_timeout: timedelta

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def networks(self) -> Networks:
        """Private ones to which webhooks may go."""
        return Networks.parse(",".join(self.settings.webhook_allow_private))

    @property
    def ports(self) -> frozenset[int]:
        return frozenset(self.settings.webhook_ports)

    async def look(self) -> None:
        """Asks for a listing of the cloud as soon as there is a place."""
        await self.place.work.look(utc_now())

    @property
    def probed(self) -> Networks:
        """Where machines may be probed beside the public internet: here, if the cloud itself is here."""
        return Networks.parse(LOOPBACK) if _is_loopback(self.settings.novita_api_base_url) else Networks()


async def ground(settings: Settings, place: Placed, stack: AsyncExitStack, mutation_timeout: timedelta) -> Ground:
    """What is opened is closed with `stack`. Raises `WrongSettings`."""
    await _bind(place.store, settings)
    novita = Novita(
        api_key(settings),
        root=settings.novita_api_base_url,
        calls_per_minute=settings.novita_calls_per_minute,
        mutation_timeout=mutation_timeout,
    )
    stack.push_async_callback(novita.close)
    cloud = Metered(novita, slow=timedelta(milliseconds=settings.slow_cloud_call_ms))
    limits = limits_of(settings)
    catalogue = Catalogue(cloud, place.store, utc_now, limits.max_price)
    stack.push_async_callback(catalogue.close)
    utilisation = Utilisation(cloud, utc_now)
    stack.push_async_callback(utilisation.close)
    return Ground(
        settings=settings,
        place=place,
        deployment=await _deployment(place.store, settings),
        process=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
        novita=novita,
        cloud=cloud,
        catalogue=catalogue,
        utilisation=utilisation,
        journal=Journal(place.store, place.work, new_id, settings.webhook_url, idle_policy_of(settings)),
        limits=limits,
        figures=Figures(),
        mutation_timeout=mutation_timeout,
    )


def api_key(settings: Settings) -> str:
    return settings.novita_api_key.get_secret_value() if settings.novita_api_key else ""


async def _bind(store: Store, settings: Settings) -> None:
    """A store belongs to one cloud. Records of another would be taken for machines that are gone."""
    root = settings.novita_api_base_url
    kept = root_of(await store.facts.first("cloud-root", root))
    if kept != root:
        fault = f"this store belongs to {kept}; use another DATA_DIR or REDIS_URL for {root}"
        raise WrongSettings([("NOVITA_API_BASE_URL", fault)])


async def _deployment(store: Store, settings: Settings) -> str:
    """Made at first start; kept in the store and in the data folder, so that either survives the other's loss."""
    path = settings.data_dir / "deployment-id"
    known = settings.deployment_id or (path.read_text().strip() if path.exists() else "")
    kept = await store.facts.first("deployment", known or deployment_id(secrets.token_bytes(8)))
    if settings.deployment_id and kept != settings.deployment_id:
        raise WrongSettings([("DEPLOYMENT_ID", f"this store belongs to deployment {kept}")])
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(kept + "\n")
    return kept


def _is_loopback(root: str) -> bool:
    return is_loopback(urlsplit(root).hostname or "")
