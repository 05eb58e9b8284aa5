"""What one instance has cost: stretches of time, each at one rate."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.money import MICROSECOND, grains, overlap
from novita_gpu.domain.value import Value

# Closed stretches kept one by one, some hundred bytes each; a run has two. Older ones are folded into one sum, so that
# a record stays small: of that, only the whole is exact, and a part of its time is answered in proportion.
KEPT = 200
# A folded sum is in thousands of grains, as 64 bits hold millions of USD so.
FOLD = 1000


class Rate(Value, frozen=True, kw_only=True):
    """1/100000 USD per day."""

    compute: int = 0
    disk: int = 0

    @property
    def total(self) -> int:
        return self.compute + self.disk


FREE = Rate()


class Charge(Value, frozen=True, kw_only=True):
    """A closed stretch. `doubt`: grains by which it may be wrong, as its ends were seen later than they came."""

    since: datetime
    until: datetime
    rate: Rate
    doubt: int = 0


class Folded(Value, frozen=True, kw_only=True):
    """Old charges as one, in thousands of grains."""

    since: datetime
    until: datetime
    compute: int
    disk: int
    doubt: int


class Bill(Value, frozen=True, kw_only=True):
    """`since` is when the open stretch began, at `rate`; None while nothing bills."""

    folded: Folded | None = None
    charges: tuple[Charge, ...] = ()
    since: datetime | None = None
    rate: Rate = FREE
    doubt: int = 0


class Spent(Value, frozen=True, kw_only=True):
    """Grains. `doubt`: by how much all of it may be wrong, either way."""

    compute: int = 0
    disk: int = 0
    doubt: int = 0

    @property
    def total(self) -> int:
        return self.compute + self.disk

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(compute=self.compute + other.compute, disk=self.disk + other.disk, doubt=self.doubt + other.doubt)


def turned(bill: Bill, rate: Rate, at: datetime, unsure: timedelta) -> Bill:
    """The bill at another rate from `at` on; `unsure`: by how much earlier or later it may have changed."""
    if rate == bill.rate:
        return bill
    doubt = grains(abs(rate.compute - bill.rate.compute) + abs(rate.disk - bill.rate.disk), unsure)
    if bill.since is None:
        return replace(bill, since=max(at, bill.charges[-1].until) if bill.charges else at, rate=rate, doubt=doubt)
    at = max(at, bill.since)
    goes_on = rate != FREE
    charge = Charge(since=bill.since, until=at, rate=bill.rate, doubt=bill.doubt + (0 if goes_on else doubt))
    closed = _folded(replace(bill, charges=(*bill.charges, charge)))
    return replace(closed, since=at if goes_on else None, rate=rate, doubt=doubt if goes_on else 0)


def spent(bill: Bill, until: datetime, since: datetime | None = None) -> Spent:
    """What it cost from `since` (its begin) to `until`. What is open goes on until then."""
    total = _part(bill.folded, since, until) if bill.folded else Spent()
    for charge in bill.charges:
        total += _of(charge, since, until)
    if bill.since:
        open_one = Charge(since=bill.since, until=max(until, bill.since), rate=bill.rate, doubt=bill.doubt)
        total += _of(open_one, since, until)
    return total


def _of(charge: Charge, since: datetime | None, until: datetime) -> Spent:
    length = overlap(charge.since, charge.until, since, until)
    if charge.since >= until or (since and charge.until < since):
        return Spent()
    return Spent(compute=grains(charge.rate.compute, length), disk=grains(charge.rate.disk, length), doubt=charge.doubt)


def _part(folded: Folded, since: datetime | None, until: datetime) -> Spent:
    whole = (folded.until - folded.since) // MICROSECOND
    if not whole:  # a sum whose time nobody knows
        return _whole(folded) if folded.until <= until and (since is None or folded.since >= since) else Spent()
    part = overlap(folded.since, folded.until, since, until) // MICROSECOND
    return Spent(
        compute=folded.compute * FOLD * part // whole,
        disk=folded.disk * FOLD * part // whole,
        doubt=folded.doubt * FOLD * part // whole,
    )


def _whole(folded: Folded) -> Spent:
    return Spent(compute=folded.compute * FOLD, disk=folded.disk * FOLD, doubt=folded.doubt * FOLD)


def _folded(bill: Bill) -> Bill:
    if len(bill.charges) <= KEPT:
        return bill
    oldest, *kept = bill.charges
    before = bill.folded
    cost = _of(oldest, None, oldest.until)
    total = cost + (_part(before, None, before.until) if before else Spent())
    folded = Folded(
        since=before.since if before else oldest.since,
        until=oldest.until,
        compute=-(-total.compute // FOLD),
        disk=-(-total.disk // FOLD),
        doubt=-(-total.doubt // FOLD),
    )
    return replace(bill, folded=folded, charges=tuple(kept))
