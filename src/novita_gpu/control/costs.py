"""What instances have cost, what they cost now, and how long the balance lasts. Answered from memory."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from novita_gpu.cloud.base import CloudError
from novita_gpu.contract import time_text
from novita_gpu.contract.costs import (
    RULE,
    BalanceView,
    CostsQuery,
    CostsView,
    HistoryQuery,
    HistoryView,
    InstanceCost,
    LimitsView,
    PointView,
)
from novita_gpu.contract.idle import SAVED_RULE
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.domain.bill import Spent, spent
from novita_gpu.domain.curve import levels
from novita_gpu.domain.errors import Fault, Invalid
from novita_gpu.domain.instance import Record, status
from novita_gpu.domain.limits import Limits, Reserved, reserved
from novita_gpu.domain.money import price_text, usd_of_grains, usd_of_rate, usd_text
from novita_gpu.domain.saving import saved
from novita_gpu.store.keys import CLOSED_FOR
from novita_gpu.store.view import View

HISTORY_AT_MOST = timedelta(days=90)


class Costs:
    def __init__(
        self,
        view: View,
        catalogue: Catalogue,
        limits: Limits,
        now: Callable[[], datetime],
        closed_for: timedelta = CLOSED_FOR,
    ) -> None:
        self._closed_for = closed_for
        self._view, self._catalogue, self._limits, self._now = view, catalogue, limits, now

    async def costs(self, query: CostsQuery) -> CostsView:
        """Raises `Invalid` when the time asked for has no length or has not come."""
        now, records = self._now(), self._view.all()
        since, until = _stretch(query, now, self._closed_for)
        parts = [(record, spent(record.bill, until, since)) for record in records if record.created_at < until]
        total = sum((part for _, part in parts), Spent())
        told = [each for each in parts if each[1].total or each[1].doubt or each[0].bill.since]
        told.sort(key=lambda each: (-each[1].total, each[0].name))
        return CostsView(
            since=time_text(since),
            until=time_text(until),
            cost_usd=_usd(total.total),
            compute_usd=_usd(total.compute),
            disk_usd=_usd(total.disk),
            uncertain_usd=_usd(total.doubt),
            saved_usd=_usd(sum(saved_by(record, now) for record in records)),
            burn_per_hour=usd_text(usd_of_rate(burn(records))),
            balance=await self.balance(burn(records)),
            limits=limits_view(self._limits, there(records)),
            instances=tuple(_row(record, part, now) for record, part in told[: query.limit]),
            rule=RULE,
            saved_rule=SAVED_RULE,
        )

    def history(self, query: HistoryQuery) -> HistoryView:
        """Raises `Invalid` as `costs` does, and for more than `HISTORY_AT_MOST`."""
        since, until = _stretch(query, self._now(), timedelta(days=1))
        if until - since > HISTORY_AT_MOST:
            raise Invalid(Fault(field="since", message=f"must lie within {HISTORY_AT_MOST.days} days before until"))
        step = (until - since) / (query.points - 1)
        found = levels((r.bill for r in self._view.all()), [since + step * n for n in range(query.points)])
        points = tuple(
            PointView(at=time_text(each.at), running=each.running, burn_per_hour=usd_text(usd_of_rate(each.rate)))
            for each in found
        )
        return HistoryView(since=time_text(since), until=time_text(until), points=points)

    async def balance(self, rate: int) -> BalanceView | None:
        """How long it lasts at that rate; None while nobody knows it."""
        try:
            known = await self._catalogue.balance.known()
        except CloudError:
            return None
        available = known.value.available_usd
        hours = float(round(available / usd_of_rate(rate), 1)) if rate else None
        return BalanceView(available_usd=usd_text(available), hours_left=hours, as_of=time_text(known.at))


def _stretch(query: CostsQuery | HistoryQuery, now: datetime, before: timedelta) -> tuple[datetime, datetime]:
    """What is asked for; without `since`, so long before its end."""
    until = query.until or now
    since = query.since or until - before
    if until > now + timedelta(seconds=1):
        raise Invalid(Fault(field="until", message="must not lie in the future", value=time_text(until)))
    if since >= until:
        raise Invalid(Fault(field="since", message="must lie before until", value=time_text(since)))
    return since, until


def burn(records: Iterable[Record]) -> int:
    """The rate of what bills now, by what was last seen."""
    return sum(record.bill.rate.total for record in records if record.bill.since)


def there(records: Iterable[Record]) -> Reserved:
    """What is reserved, as far as this process knows; the commits know it for certain."""
    living = [record for record in records if not record.deleted_at]
    return Reserved(instances=len(living), rate=sum(map(reserved, living)))


def saved_by(record: Record, now: datetime) -> int:
    """Grains that its own policy has saved so far."""
    return saved(record.saving, record.stopped_at, min(now, record.deleted_at or now))


def limits_view(limits: Limits, of: Reserved) -> LimitsView:
    return LimitsView(
        instances=of.instances,
        reserved_per_hour=usd_text(usd_of_rate(of.rate)),
        max_instances=limits.max_instances,
        max_burn_per_hour=None if limits.max_burn is None else usd_text(usd_of_rate(limits.max_burn)),
        max_price_per_hour=None if limits.max_price is None else price_text(limits.max_price),
    )


def _row(record: Record, part: Spent, now: datetime) -> InstanceCost:
    rate = record.bill.rate.total if record.bill.since else 0
    return InstanceCost(
        instance_id=record.id,
        name=record.name,
        status=status(record),
        cost_usd=_usd(part.total),
        compute_usd=_usd(part.compute),
        disk_usd=_usd(part.disk),
        uncertain_usd=_usd(part.doubt),
        saved_usd=_usd(saved_by(record, now)),
        burn_per_hour=usd_text(usd_of_rate(rate)),
    )


def _usd(amount: int) -> str:
    return usd_text(usd_of_grains(amount))
