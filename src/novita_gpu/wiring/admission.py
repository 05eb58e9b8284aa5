"""Who may come in, from where, and how often, as the operator says."""

from typing import TypedDict

from novita_gpu.api.cors import Cors
from novita_gpu.api.desk import Opening
from novita_gpu.api.limiter import Limiter
from novita_gpu.api.origin import Proxies
from novita_gpu.settings import Settings
from novita_gpu.store import Store


class Admission(TypedDict):
    limiter: Limiter
    proxies: Proxies
    opening: Opening
    cors: Cors


def admission(settings: Settings, store: Store) -> Admission:
    shared = store.windows if settings.rate_limit_shared else None
    return Admission(
        limiter=Limiter(settings.rate_limit_per_minute, shared=shared),
        proxies=Proxies(networks=settings.trusted_proxies),
        opening=Opening(all=settings.auth == "off", metrics=settings.metrics_open),
        cors=Cors(settings.allowed_origins),
    )
