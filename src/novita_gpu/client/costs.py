"""What is spent, as the service answers it: of a plan before it is spent, of instances since."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from novita_gpu.client.answers import Answer, Part
from novita_gpu.client.catalogue import OfCloud


class Balance(Part, frozen=True, kw_only=True):
    """`hours_left`: at what bills then; None while nothing does."""

    available_usd: Decimal = Decimal(0)
    hours_left: float | None = None
    as_of: datetime | None = None


class Limits(Part, frozen=True, kw_only=True):
    """The operator's limits, each if it is set, and what is reserved of them."""

    instances: int = 0
    reserved_per_hour: Decimal = Decimal(0)
    max_instances: int | None = None
    max_burn_per_hour: Decimal | None = None
    max_price_per_hour: Decimal | None = None


class InstanceCost(Part, frozen=True, kw_only=True):
    """`saved_usd`: by stops of its own policy, in all. `burn_per_hour`: what bills now."""

    instance_id: str = ""
    name: str = ""
    status: str = ""
    cost_usd: Decimal = Decimal(0)
    compute_usd: Decimal = Decimal(0)
    disk_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    burn_per_hour: Decimal = Decimal(0)


class Point(Part, frozen=True, kw_only=True):
    """`running`: instances whose compute was billed at that moment."""

    at: datetime
    running: int = 0
    burn_per_hour: Decimal = Decimal(0)


class CostsHistory(Answer, frozen=True, kw_only=True):
    since: datetime | None = None
    until: datetime | None = None
    points: tuple[Point, ...] = ()


class Costs(Answer, frozen=True, kw_only=True):
    """The dearest instance first. By `uncertain_usd` it may be wrong, either way; `rule` says how it is made.

    `saved_usd`: by auto-stop, in all and not of the time asked for; `saved_rule` says how that is made.
    """

    since: datetime | None = None
    until: datetime | None = None
    cost_usd: Decimal = Decimal(0)
    compute_usd: Decimal = Decimal(0)
    disk_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    burn_per_hour: Decimal = Decimal(0)
    balance: Balance | None = None
    limits: Limits = Limits()
    instances: tuple[InstanceCost, ...] = ()
    rule: str = ""
    saved_rule: str = ""


class Offer(Part, frozen=True, kw_only=True):
    """`empty_until`: it was met without capacity, and comes last."""

    region: str = ""
    cluster_id: str = ""
    product_id: str = ""
    product_name: str = ""
    billing_mode: str = ""
    gpu_num: int = 0
    cpu_num: int | None = None
    memory_gb: int | None = None
    price_per_hour: Decimal = Decimal(0)
    empty_until: datetime | None = None


class PassedOver(Part, frozen=True, kw_only=True):
    """`rule` is the kind of `reason`, a word such as out_of_stock."""

    region: str = ""
    product_id: str | None = None
    rule: str = ""
    reason: str = ""


class Spend(Part, frozen=True, kw_only=True):
    """Of the first offer with its disk, while it runs. A month has 30 days; the disk bills while it is stopped too."""

    per_hour: Decimal = Decimal(0)
    per_day: Decimal = Decimal(0)
    per_month: Decimal = Decimal(0)
    disk_per_day: Decimal = Decimal(0)


class Refusal(Part, frozen=True, kw_only=True):
    """What create would be refused with."""

    code: str = ""
    message: str = ""
    details: Any = None


class Plan(OfCloud, frozen=True, kw_only=True):
    """What create would do: `offers` in the order in which they are tried. Nothing is reserved.

    `balance` is with this instance running beside what bills now. `a_stop_may_cost`: what is not safe when it is
    stopped.
    """

    name: str = ""
    image_url: str = ""
    rootfs_size: int = 0
    offers: tuple[Offer, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    why: str | None = None
    spend: Spend | None = None
    ready_in_seconds: float | None = None
    balance: Balance | None = None
    limits: Limits = Limits()
    refusal: Refusal | None = None
    message: str = ""
    a_stop_may_cost: str = ""
