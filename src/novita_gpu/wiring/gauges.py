"""What tells how a process is doing."""

from novita_gpu.control.outages import Outages
from novita_gpu.placement import new_id, utc_now
from novita_gpu.wiring.ground import Ground


def outages(ground: Ground) -> Outages:
    return Outages(ground.store, lambda: ground.novita.circuits, owner=ground.process, now=utc_now, new_id=new_id)
