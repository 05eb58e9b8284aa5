"""When an instance will be ready, from how long others of its kind took."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median

from novita_gpu.domain.instance import Offer, Record, RunKind

# The latest ones; older times tell of another day's network.
SAMPLES = 20


def ready_by(records: Iterable[Record], offer: Offer | None, kind: RunKind, now: datetime) -> datetime | None:
    """The median over the last runs of the same kind, product and region; None when there are none."""
    if offer is None:
        return None
    runs = [
        (record.run.ready_at, record.run.ready_at - record.run.asked_at)
        for record in records
        if record.run.ready_at and record.run.kind is kind and _is_alike(record.offer, offer)
    ]
    if not runs:
        return None
    latest = sorted(runs)[-SAMPLES:]
    return now + timedelta(seconds=median(duration.total_seconds() for _, duration in latest))


def _is_alike(one: Offer | None, other: Offer) -> bool:
    return one is not None and (one.product_id, one.region) == (other.product_id, other.region)
