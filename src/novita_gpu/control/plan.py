"""What a create would do and cost, and why. Changes nothing."""

from collections.abc import Callable
from datetime import datetime

from novita_gpu.contract import CreateInstance, time_text
from novita_gpu.contract.costs import OfferView, PassedOverView, PlanView, RefusalView, SpendView
from novita_gpu.control.ceilings import agreed, agreed_recovery
from novita_gpu.control.commands import Defaults, dearest
from novita_gpu.control.costs import Costs, burn, limits_view, there
from novita_gpu.control.order import Orders, Quote
from novita_gpu.control.refusals import taken
from novita_gpu.domain.advice import may_cost, promise
from novita_gpu.domain.api_key import Owner
from novita_gpu.domain.errors import Problem
from novita_gpu.domain.estimate import ready_by
from novita_gpu.domain.instance import Offer, RunKind
from novita_gpu.domain.limits import Limits, Reserved, broken, figures, is_over, limits_of
from novita_gpu.domain.money import (
    HOURS_PER_DAY,
    compute_rate,
    disk_rate,
    price_text,
    usd_of_rate,
    usd_text,
)
from novita_gpu.domain.offers import PassedOver, Ranking, empty_key
from novita_gpu.store.view import View

DAYS_PER_MONTH = 30


class Planner:
    def __init__(
        self, orders: Orders, costs: Costs, view: View, defaults: Defaults, limits: Limits, now: Callable[[], datetime]
    ) -> None:
        self._orders, self._costs, self._view = orders, costs, view
        self._defaults, self._limits, self._now = defaults, limits, now

    async def plan(self, request: CreateInstance, owner: Owner | None = None) -> PlanView:
        """For the key that would own it. Raises what create raises for a request that breaks rules or names what is not
        there.
        """
        quote = await self._orders.quote(request, owner.limits.regions if owner else ())
        ranking, records = quote.ranking, self._view.all()
        first = ranking.offers[0] if ranking and ranking.offers else None
        rate = compute_rate(first.units_per_hour) + disk_rate(quote.spec.rootfs_size_gb) if first else 0
        defaults = self._defaults
        agreed_recovery(request.recovery, defaults.recovery)
        policy = agreed(request.auto_stop, defaults.auto_stop, defaults.ceilings, quote.spec, self._now())
        return PlanView(
            name=request.name,
            image_url=quote.spec.image_url,
            rootfs_size=quote.spec.rootfs_size_gb,
            offers=tuple(_offer(one, ranking) for one in ranking.offers) if ranking else (),
            passed_over=tuple(map(_passed_over, ranking.passed_over)) if ranking else (),
            why=ranking.choice() if ranking and first else None,
            spend=_spend(rate, disk_rate(quote.spec.rootfs_size_gb)) if first else None,
            ready_in_seconds=self._ready_in(first),
            balance=await self._costs.balance(burn(records) + rate),
            limits=limits_view(self._limits, there(records)),
            refusal=self._refusal(request, quote, owner),
            message=promise(policy, defaults.idle),
            a_stop_may_cost=may_cost(quote.spec),
            as_of=time_text(quote.at) if quote.at else None,
            stale=bool(quote.fault),
            fault=quote.fault or None,
        )

    def _ready_in(self, offer: Offer | None) -> float | None:
        now = self._now()
        at = ready_by(self._view.all(), offer, RunKind.LAUNCH, now)
        return round((at - now).total_seconds(), 1) if at else None

    def _refusal(self, request: CreateInstance, quote: Quote, owner: Owner | None) -> RefusalView | None:
        """The first that create would meet."""
        known = self._view.by_name(request.name)
        problem: Problem | None = taken(known.name, known.id) if known and not known.deleted_at else None
        problem = problem or (None if quote.fault else self._orders.refusal(quote))
        if problem:
            return RefusalView(code=problem.code, message=problem.message, details=problem.details)
        return (
            self._over_limit(quote, self._limits)
            or (owner and self._over_limit(quote, limits_of(owner), owner))
            or None
        )

    def _over_limit(self, quote: Quote, limits: Limits, owner: Owner | None = None) -> RefusalView | None:
        """The operator's limits, or those of the key that would own it, with what that key has created."""
        asked = compute_rate(dearest(quote, self._limits)) + disk_rate(quote.spec.rootfs_size_gb)
        records = self._view.all()
        mine = [record for record in records if owner and record.owner and record.owner.key == owner.key]
        present, key = there(mine if owner else records), owner.name if owner else ""
        after = Reserved(instances=present.instances + 1, rate=present.rate + asked)
        if not is_over(limits, after):
            return None
        told = figures(limits, after, asked, key)
        return RefusalView(code="LIMIT_REACHED", message=f"{broken(limits, after, asked, key)}.", details=told)


def _offer(offer: Offer, ranking: Ranking | None) -> OfferView:
    until = ranking.empty_until.get(empty_key(offer)) if ranking else None
    return OfferView(
        region=offer.region,
        cluster_id=offer.cluster_id,
        product_id=offer.product_id,
        product_name=offer.product_name,
        billing_mode=offer.billing_mode,
        gpu_num=offer.gpu_num,
        cpu_num=offer.cpu_num,
        memory_gb=offer.memory_gb,
        price_per_hour=price_text(offer.units_per_hour),
        empty_until=time_text(until) if until else None,
    )


def _passed_over(one: PassedOver) -> PassedOverView:
    return PassedOverView(region=one.region, product_id=one.product_id or None, rule=one.rule.value, reason=one.why)


def _spend(rate: int, disk: int) -> SpendView:
    per_hour, per_day = usd_of_rate(rate), usd_of_rate(rate * HOURS_PER_DAY)
    return SpendView(
        per_hour=usd_text(per_hour),
        per_day=usd_text(per_day),
        per_month=usd_text(per_day * DAYS_PER_MONTH),
        disk_per_day=usd_text(usd_of_rate(disk * HOURS_PER_DAY)),
    )
