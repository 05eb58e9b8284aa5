"""Records as earlier versions wrote them, made into what the present one reads. A record is written anew by its next
commit.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Document = dict[str, Any]


def renewed(record: Document, version: int) -> Document:
    """Raises `LookupError`, `TypeError` or `ArithmeticError` for what no version ever wrote."""
    for step in STEPS[version - 1 :]:
        step(record)
    return record


def _whole_money(record: Document) -> None:
    """To version 2: prices are whole numbers of 1/100000 USD per hour, costs are stretches of time at a rate."""
    machine = record.get("machine")
    attempts: list[Document] = record.get("attempts", [])
    for holder in [*attempts, *([machine] if machine else [])]:
        offer = holder["offer"]
        offer["units_per_hour"] = _units(offer.pop("usd_per_hour"))
    limit = record["spec"].pop("max_usd_per_hour", None)
    if limit is not None:
        record["spec"]["max_units_per_hour"] = _units(limit)
    ended_at = record.get("deleted_at") or record.get("stopped_at") or record["updated_at"]
    record["bill"] = _bill(record.get("bill", {}), record["created_at"], ended_at)


def _units(usd: str) -> int:
    return int(Decimal(usd) * 100_000)


def _bill(old: Document, created_at: str, ended_at: str) -> Document:
    """What was spent keeps its sum; since when is not known any more."""
    new: Document = {}
    spent = Decimal(old.get("spent_usd", "0"))
    if spent:
        # In thousands of grains: 1/100000 USD per day, times a microsecond.
        grains = int(spent * 100_000 * 86_400_000_000 / 1000)
        new["folded"] = {"since": created_at, "until": ended_at, "compute": grains, "disk": 0, "doubt": 0}
    if since := old.get("since"):
        new |= {"since": since, "rate": {"compute": _units(old.get("usd_per_hour", "0")) * 24}}
        if spent:
            new["folded"]["until"] = since
    return new


STEPS: tuple[Callable[[Document], None], ...] = (_whole_money,)
RECORD_VERSION = len(STEPS) + 1
