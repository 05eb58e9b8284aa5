"""The operator's limits and those of keys, and what each instance reserves of them.

Rates are in 1/100000 USD per day, prices in 1/100000 USD per hour.
"""

from novita_gpu.domain.api_key import Owner
from novita_gpu.domain.instance import Record, Wish, is_down
from novita_gpu.domain.meter import full_rate
from novita_gpu.domain.money import compute_rate, disk_rate, price_text, usd_of_price, usd_of_rate, usd_text
from novita_gpu.domain.value import Value


class Limits(Value, frozen=True, kw_only=True):
    """None: no such limit. `max_instances` counts what is not deleted; `max_burn` is a rate, `max_price` a price."""

    max_instances: int | None = None
    max_burn: int | None = None
    max_price: int | None = None


UNLIMITED = Limits()
_OF_OPERATOR = ("MAX_INSTANCES", "MAX_BURN_USD_PER_HOUR")


class Reserved(Value, frozen=True, kw_only=True):
    """What all living instances reserve together."""

    instances: int = 0
    rate: int = 0


def limits_of(owner: Owner) -> Limits:
    """Those of the key that created an instance."""
    return Limits(max_instances=owner.limits.max_instances, max_burn=owner.limits.max_burn)


def reserved(record: Record) -> int:
    """The rate that an instance may come to bill by what is wanted of it now.

    Of one that waits for its machine it is the dearest offer's: two callers must not overspend together.
    """
    if record.deleted_at:
        return 0
    wanted = record.wants is Wish.RUNNING and not record.failure and not record.run.no_room
    disk, attempt, total = disk_rate(record.spec.rootfs_size_gb), record.open_attempt, 0
    if attempt:
        total += compute_rate(attempt.offer.units_per_hour) + disk
    if record.machine:
        full = full_rate(record)
        total += full.total if wanted or not is_down(record) else full.disk if record.machine.ran else 0
    if record.recovering and record.recovering.former:
        total += disk
    if not attempt and not record.machine and wanted:
        total += compute_rate(record.dearest) + disk
    return total


def figures(limits: Limits, there: Reserved | None, asked: int, key: str = "") -> dict[str, int | str]:
    """What a refusal tells: each limit, how much of it would be reserved with what is asked for, and that part.

    Of a key's limits its name too; `instances` and what is reserved count its own then.
    """
    told: dict[str, int | str] = {"askedUsdPerHour": usd_text(usd_of_rate(asked))}
    if key:
        told["key"] = key
    if there:
        told |= {"instances": there.instances, "reservedUsdPerHour": usd_text(usd_of_rate(there.rate))}
    if limits.max_instances is not None:
        told["maxInstances"] = limits.max_instances
    if limits.max_burn is not None:
        told["maxUsdPerHour" if key else "maxBurnUsdPerHour"] = usd_text(usd_of_rate(limits.max_burn))
    if limits.max_price is not None:
        told["maxPriceUsdPerHour"] = usd_text(usd_of_price(limits.max_price))
    return told


def is_over(limits: Limits, there: Reserved) -> bool:
    """As the commit decides it."""
    too_many = limits.max_instances is not None and there.instances > limits.max_instances
    return too_many or (limits.max_burn is not None and there.rate > limits.max_burn)


def broken(limits: Limits, there: Reserved, asked: int, key: str = "") -> str:
    """What is reached, as a sentence. `there` holds what was asked for too; `key` says whose limits they are."""
    count, rate = (f"maxInstances of the key {key}", f"maxUsdPerHour of the key {key}") if key else _OF_OPERATOR
    if limits.max_instances is not None and there.instances > limits.max_instances:
        return f"{count} is {limits.max_instances}; this would make {there.instances}"
    burn = usd_text(usd_of_rate(there.rate))
    most = usd_text(usd_of_rate(limits.max_burn or 0))
    return f"{rate} is {most}; with this at up to {usd_text(usd_of_rate(asked))} {burn} USD per hour would be reserved"


def over_price(price: int, limits: Limits) -> str | None:
    """Why a machine at that price is not started."""
    if limits.max_price is None or price <= limits.max_price:
        return None
    return f"MAX_PRICE_USD_PER_HOUR is {price_text(limits.max_price)}; it costs {price_text(price)}"
