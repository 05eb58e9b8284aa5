"""Money as whole numbers; USD only at the edges.

A *price* is in 1/100000 USD per hour, as the cloud counts it (documented). A *rate* is in 1/100000 USD per day, in
which the cloud's price of disk is whole too. A *grain* is what a rate of 1 costs in a microsecond.
"""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

UNITS_PER_USD = 100_000
BALANCE_UNITS_PER_USD = 10_000
HOURS_PER_DAY = 24
# Of the system disk (the cloud's pricing guide): so much is free, the rest is 0.005 USD per GB and day, stopped or not.
FREE_DISK_GB = 60
DISK_UNITS_PER_GB_DAY = 500
MICROSECOND = timedelta(microseconds=1)
GRAINS_PER_USD = UNITS_PER_USD * (timedelta(days=1) // MICROSECOND)
_CENT_OF_CENT = Decimal("0.0001")


def price_of(units_per_gpu_hour: int, gpu_num: int) -> int:
    """The price of a whole instance from the cloud's price of one GPU."""
    return units_per_gpu_hour * gpu_num


def compute_rate(price: int) -> int:
    return price * HOURS_PER_DAY


def disk_rate(size_gb: int) -> int:
    return max(0, size_gb - FREE_DISK_GB) * DISK_UNITS_PER_GB_DAY


def grains(rate: int, length: timedelta) -> int:
    """What that rate costs for so long; nothing for a length below zero."""
    return rate * max(0, length // MICROSECOND)


def price_limit(usd: Decimal) -> int:
    """The highest price that is not above so many USD per hour."""
    return int((usd * UNITS_PER_USD).to_integral_value(ROUND_FLOOR))


def usd_of_price(price: int) -> Decimal:
    """USD per hour."""
    return Decimal(price) / UNITS_PER_USD


def usd_of_rate(rate: int) -> Decimal:
    """USD per hour."""
    return Decimal(rate) / (UNITS_PER_USD * HOURS_PER_DAY)


def usd_of_grains(amount: int) -> Decimal:
    return Decimal(amount) / GRAINS_PER_USD


def usd_text(amount: Decimal) -> str:
    """The wire form: a decimal string with four places."""
    return str(amount.quantize(_CENT_OF_CENT, ROUND_HALF_UP))


def price_text(price: int) -> str:
    return usd_text(usd_of_price(price))


def overlap(since: datetime, until: datetime, first: datetime | None, last: datetime) -> timedelta:
    """How much of the stretch lies between `first` and `last`."""
    return max(timedelta(0), min(until, last) - (max(since, first) if first else since))
