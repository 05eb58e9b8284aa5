"""Money to the second: what a machine or a volume costs, in USD, while its rate stands."""

from dataclasses import dataclass, field

BILLED = frozenset({"pulling", "running", "toStop", "stopping", "toRestart", "restarting", "toReset", "resetting"})
"""Statuses that bill compute: documented from `pulling` until stopped; for start and migrate inferred as free."""

FREE_DISK_GB = 60  # of the system disk (pricing guide)
DISK_USD_PER_GB_DAY = 0.005  # system disk above the free part, billed while stopped too
VOLUME_USD_PER_GB_DAY = 0.002
MONTH_S = 30 * 86400


def compute_usd_per_s(price: int, gpus: int) -> float:
    """A product's price, 1/100000 USD per GPU and hour, as USD a second."""
    return price * gpus / 100_000 / 3600


def disk_usd_per_s(size_gb: int) -> float:
    """The system disk's rate beyond its free part."""
    return max(0, size_gb - FREE_DISK_GB) * DISK_USD_PER_GB_DAY / 86400


def volume_usd_per_s(size_gb: int) -> float:
    """A network volume's rate."""
    return size_gb * VOLUME_USD_PER_GB_DAY / 86400


def wire_usd(usd: float) -> str:
    """An amount as billing pages show it: whole 0.0001 USD, as a string."""
    return str(round(usd * 10_000))


@dataclass(slots=True)
class Meter:
    """USD that add up at a rate set from time to time."""

    settled_usd: float = 0.0
    usd_per_s: float = 0.0
    since: float = 0.0

    def run(self, usd_per_s: float, at: float) -> None:
        """Go on at another rate from `at`."""
        self.settled_usd = self.usd(at)
        self.usd_per_s = usd_per_s
        self.since = at

    def usd(self, now: float) -> float:
        """The sum so far."""
        return self.settled_usd + self.usd_per_s * max(0.0, now - self.since)


@dataclass(slots=True)
class Purse:
    """What the account paid in, and what it owes for things that are gone."""

    paid_in_usd: float
    gone_usd: float = 0.0

    def balance_usd(self, owed_usd: float) -> float:
        """What is left, once `owed_usd` for things that still exist is counted too; below zero it is a debt."""
        return self.paid_in_usd - self.gone_usd - owed_usd


@dataclass(slots=True)
class Census:
    """How many machines of one instance existed, and billed, at the same time: the evidence of something bought twice.

    Machines belong together by the `<deployment>/<instance>` part of their marker.
    """

    alive: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    billed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    alive_at_once: dict[str, int] = field(default_factory=dict[str, int])
    billed_at_once: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, machine_id: str, marker: str, status: str) -> None:
        """Take in a machine's new status."""
        group = marker.rpartition("/")[0]
        if not group:
            return
        _count(self.alive, self.alive_at_once, group, machine_id, status not in {"toRemove", "removing", "removed"})
        _count(self.billed, self.billed_at_once, group, machine_id, status in BILLED)


def _count(now: dict[str, set[str]], most: dict[str, int], group: str, machine_id: str, is_in: bool) -> None:
    members = now.setdefault(group, set())
    if not is_in:
        members.discard(machine_id)
        return
    members.add(machine_id)
    most[group] = max(most.get(group, 0), len(members))
