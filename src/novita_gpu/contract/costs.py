"""What is spent: of a plan before it is spent, of instances since, and how long the balance lasts."""

from typing import Annotated, Any

from msgspec import Meta

from novita_gpu.contract.catalogue import Stale
from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Moment, Time, Usd
from novita_gpu.contract.views import View
from novita_gpu.domain.instance import Status
from novita_gpu.domain.spec import BillingMode

RULE = (
    "Compute from pulling until stopped, to the second; system disk beyond 60 GB at 0.005 USD per GB and day, also "
    "while stopped; network volumes not included. Times are the cloud's where it tells them, else of the listing that "
    "first showed the change; what that may be off is uncertainUsd. Prices are those agreed at launch."
)


class CostsQuery(Request, frozen=True, kw_only=True):
    since: Annotated[Moment, Meta(description="If left out, as far back as is kept.")] | None = None
    until: Annotated[Moment, Meta(description="Now, when left out.")] | None = None
    limit: (
        Annotated[int, Meta(ge=0, le=100_000, description="Instances told of, the dearest first; all if left out.")]
        | None
    ) = None


class HistoryQuery(Request, frozen=True, kw_only=True):
    """At most 90 days. What was folded into one sum, after 200 changes of one instance, is not in it."""

    since: Annotated[Moment, Meta(description="A day before `until`, when left out.")] | None = None
    until: Annotated[Moment, Meta(description="Now, when left out.")] | None = None
    points: Annotated[int, Meta(ge=2, le=1000)] = 240


class BalanceView(View, frozen=True, kw_only=True):
    """`hoursLeft`: at what bills then; absent while nothing does."""

    available_usd: Usd
    hours_left: float | None = None
    as_of: Time


class LimitsView(View, frozen=True, kw_only=True):
    """The operator's limits, each if it is set, and what is reserved of them."""

    instances: int
    reserved_per_hour: Annotated[Usd, Meta(description="What may come to bill by what is wanted now.")]
    max_instances: int | None = None
    max_burn_per_hour: Usd | None = None
    max_price_per_hour: Usd | None = None


class InstanceCost(View, frozen=True, kw_only=True):
    instance_id: str
    name: str
    status: Status
    cost_usd: Usd
    compute_usd: Usd
    disk_usd: Usd
    uncertain_usd: Usd
    saved_usd: Annotated[Usd, Meta(description="By stops of its own policy, in all.")]
    burn_per_hour: Annotated[Usd, Meta(description="What bills now.")]


class CostsView(View, frozen=True, kw_only=True):
    """Of all instances, deleted ones too as long as they are kept; the dearest first."""

    since: Time
    until: Time
    cost_usd: Usd
    compute_usd: Usd
    disk_usd: Usd
    uncertain_usd: Annotated[Usd, Meta(description="By so much it may be wrong, either way.")]
    saved_usd: Annotated[Usd, Meta(description="By auto-stop, in all and not of the time asked for; see `savedRule`.")]
    burn_per_hour: Annotated[Usd, Meta(description="What bills now, all together.")]
    balance: BalanceView | None = None
    limits: LimitsView
    instances: tuple[InstanceCost, ...]
    rule: Annotated[str, Meta(description="How these figures are made.")]
    saved_rule: Annotated[str, Meta(description="How `savedUsd` is made.")]


class PointView(View, frozen=True, kw_only=True):
    at: Time
    running: Annotated[int, Meta(description="Instances whose compute was billed.")]
    burn_per_hour: Usd


class HistoryView(View, frozen=True, kw_only=True):
    """What ran and what it cost an hour, at moments with the same time between them."""

    since: Time
    until: Time
    points: tuple[PointView, ...]


class OfferView(View, frozen=True, kw_only=True):
    region: str
    cluster_id: str
    product_id: str
    product_name: str
    billing_mode: BillingMode
    gpu_num: int
    cpu_num: int | None = None
    memory_gb: int | None = None
    price_per_hour: Usd
    empty_until: Annotated[Time, Meta(description="It was met without capacity, and comes last.")] | None = None


class PassedOverView(View, frozen=True, kw_only=True):
    region: str
    product_id: str | None = None
    rule: Annotated[str, Meta(description="The kind of reason.", examples=["out_of_stock"])]
    reason: str


class SpendView(View, frozen=True, kw_only=True):
    """Of the first offer with its disk, while it runs. A month has 30 days."""

    per_hour: Usd
    per_day: Usd
    per_month: Usd
    disk_per_day: Annotated[Usd, Meta(description="Of this the disk, billed while it is stopped too.")]


class RefusalView(View, frozen=True, kw_only=True):
    """What create would be refused with."""

    code: str
    message: str
    details: Any = None


class PlanView(View, frozen=True, kw_only=True):
    """What create would do. Nothing is reserved: what is true now may not be a second later."""

    name: str
    image_url: str
    rootfs_size: int
    offers: Annotated[tuple[OfferView, ...], Meta(description="In the order in which they are tried.")]
    passed_over: tuple[PassedOverView, ...]
    why: Annotated[str, Meta(description="Why the first one is the first.")] | None = None
    spend: SpendView | None = None
    ready_in_seconds: (
        Annotated[float, Meta(description="The median of our own last launches of that product there.")] | None
    ) = None
    balance: Annotated[BalanceView, Meta(description="With this instance running beside what bills now.")] | None = None
    limits: LimitsView
    refusal: RefusalView | None = None
    message: str
    a_stop_may_cost: Annotated[str, Meta(description="What is not safe when it is stopped.")]
    as_of: Annotated[Time, Meta(description="When the cloud was asked for its products.")] | None = None
    stale: Stale = False
    fault: str | None = None
