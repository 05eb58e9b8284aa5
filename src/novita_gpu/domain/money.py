"""Prices and what has been spent. USD as Decimal; the cloud counts in 1/100000 USD per GPU and hour (documented)."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

CLOUD_UNITS_PER_USD = 100_000
BALANCE_UNITS_PER_USD = 10_000
SECONDS_PER_HOUR = 3600
_CENT_OF_CENT = Decimal("0.0001")


def usd_per_hour(units_per_gpu_hour: int, gpu_num: int) -> Decimal:
    """The price of a whole instance from the cloud's price of one GPU."""
    return Decimal(units_per_gpu_hour * gpu_num) / CLOUD_UNITS_PER_USD


def cost(price_per_hour: Decimal, since: datetime, until: datetime) -> Decimal:
    """USD for running from `since` to `until`, second-accurate as the cloud bills; never negative."""
    seconds = Decimal(str(max(0.0, (until - since).total_seconds())))
    return price_per_hour * seconds / SECONDS_PER_HOUR


def usd_text(amount: Decimal) -> str:
    """The wire form: a decimal string with four places."""
    return str(amount.quantize(_CENT_OF_CENT, ROUND_HALF_UP))
