"""What stops by an instance's own policy have saved."""

from datetime import datetime

from msgspec.structs import replace

from novita_gpu.domain.bill import FOLD
from novita_gpu.domain.money import grains
from novita_gpu.domain.value import Value


class Saving(Value, frozen=True, kw_only=True):
    """Compute at `rate` from each such stop until the machine was wanted again, or deleted.

    `open`: the last one is not over. `spared`: thousands of grains, of those that are.
    """

    stops: int = 0
    open: bool = False
    rate: int = 0
    spared: int = 0


def began(saving: Saving, rate: int) -> Saving:
    """A stop by its own policy was decided, of a machine whose compute costs that much."""
    return replace(saving, stops=saving.stops + 1, open=True, rate=rate)


def ended(saving: Saving, stopped_at: datetime | None, at: datetime) -> Saving:
    """It is wanted again, or gone, at that time."""
    if not saving.open:
        return saving
    return replace(saving, open=False, spared=saving.spared + _open(saving, stopped_at, at) // FOLD)


def saved(saving: Saving, stopped_at: datetime | None, until: datetime) -> int:
    """Grains, so far. Nothing of a stop that has not come about."""
    return saving.spared * FOLD + (_open(saving, stopped_at, until) if saving.open else 0)


def joined(kept: Saving, other: Saving) -> Saving:
    """`kept`, with what another history of the same machine has saved more: it is one machine, so nothing adds up."""
    return replace(kept, stops=max(kept.stops, other.stops), spared=max(kept.spared, other.spared))


def _open(saving: Saving, stopped_at: datetime | None, until: datetime) -> int:
    return grains(saving.rate, until - stopped_at) if stopped_at and stopped_at < until else 0
