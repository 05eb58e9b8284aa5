"""What tells how a process is doing: outages of the cloud, rates, caches, health."""

from dataclasses import dataclass

from novita_gpu.control.caches import Caches
from novita_gpu.control.health import Health
from novita_gpu.control.outages import Outages
from novita_gpu.control.rates import Rates
from novita_gpu.control.signs import Reading
from novita_gpu.placement import new_id, utc_now
from novita_gpu.policies import pace_of
from novita_gpu.wiring.ground import VERSION, Ground
from novita_gpu.wiring.passes import Passes


@dataclass(frozen=True, kw_only=True)
class Gauges:
    outages: Outages
    rates: Rates
    caches: Caches
    health: Health


def gauges(ground: Ground, passes: Passes) -> Gauges:
    every = pace_of(ground.settings).health
    outages = Outages(ground.store, lambda: ground.novita.circuits, owner=ground.process, now=utc_now, new_id=new_id)
    rates, caches = Rates(ground.figures), _caches(ground)
    health = Health(
        reading=Reading(ground.store, ground.place.work, ground.process, utc_now, every),
        view=ground.store.view,
        upstream=ground.novita,
        calls=ground.cloud.meters,
        place=ground.place,
        idle_check=passes.idle_check,
        outages=outages,
        rates=rates,
        caches=caches,
        version=VERSION,
        now=utc_now,
        every=every,
    )
    return Gauges(outages=outages, rates=rates, caches=caches, health=health)


def _caches(ground: Ground) -> Caches:
    """Those of the catalogue; the API adds its own."""
    caches = Caches(ground.store.facts, utc_now)
    for name, cache in ground.catalogue.caches().items():
        caches.add(name, cache)
    caches.add("utilisation", ground.utilisation.cache)
    return caches
