"""What an instance has cost: exact in its sums, small in its record, honest about what it cannot know."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.domain.bill import FREE, KEPT, Bill, Rate, Spent, spent, turned
from novita_gpu.domain.money import GRAINS_PER_USD, disk_rate, grains, usd_of_grains, usd_of_rate, usd_text
from tests.domain.given import at

HOURLY = Rate(compute=35_000 * 24)
SURE = timedelta(0)


def test_an_hour_at_a_price_costs_that_price() -> None:
    bill = turned(turned(Bill(), HOURLY, at(0), SURE), FREE, at(3600), SURE)
    assert usd_text(usd_of_grains(spent(bill, at(9999)).total)) == "0.3500"
    assert bill.since is None


def test_what_is_open_goes_on_until_it_is_asked_for() -> None:
    bill = turned(Bill(), HOURLY, at(0), SURE)
    assert spent(bill, at(36)).total == GRAINS_PER_USD * 35 // 10_000
    assert spent(bill, at(-5)) == Spent()


def test_a_part_of_the_time_costs_its_part() -> None:
    bill = turned(turned(Bill(), HOURLY, at(0), SURE), Rate(disk=1000), at(100), SURE)
    assert spent(bill, until=at(150), since=at(50)) == Spent(
        compute=grains(HOURLY.compute, timedelta(seconds=50)), disk=grains(1000, timedelta(seconds=50))
    )


def test_doubt_is_what_the_change_of_rate_may_have_cost() -> None:
    bill = turned(turned(Bill(), HOURLY, at(10), timedelta(seconds=2)), FREE, at(100), timedelta(seconds=1))
    assert spent(bill, at(200)).doubt == grains(HOURLY.compute, timedelta(seconds=3))
    assert spent(bill, until=at(5)).doubt == 0


def test_the_rate_of_disk_is_half_a_cent_a_day() -> None:
    assert disk_rate(61) == 500
    assert usd_of_grains(grains(disk_rate(61), timedelta(days=1))) == Decimal("0.005")
    assert usd_text(usd_of_rate(disk_rate(60 + 2400))) == "0.5000"


RATES = st.builds(Rate, compute=st.integers(0, 10**8), disk=st.integers(0, 10**6))
CHANGES = st.lists(st.tuples(RATES, st.integers(0, 10**10), st.integers(0, 10**7)), max_size=12)


@given(CHANGES, st.integers(0, 10**11), st.integers(0, 10**11))
def test_parts_add_up_to_the_whole(changes: list[tuple[Rate, int, int]], one: int, other: int) -> None:
    bill, now = Bill(), at(0)
    for rate, microseconds, unsure in changes:
        bill = turned(bill, rate, now, timedelta(microseconds=unsure))
        now += timedelta(microseconds=microseconds)
    first, second = sorted((at(0) + timedelta(microseconds=one), at(0) + timedelta(microseconds=other)))
    parts = spent(bill, first).total + spent(bill, second, since=first).total
    assert parts == spent(bill, second).total


def test_a_record_stays_small_and_its_sum_right() -> None:
    bill = Bill()
    for number in range(3 * KEPT):
        bill = turned(bill, HOURLY if number % 2 == 0 else FREE, at(3600 * number), SURE)
    assert len(bill.charges) == KEPT
    assert usd_text(usd_of_grains(spent(bill, at(10**7)).total)) == "105.0000"  # 300 hours
    assert spent(bill, until=at(0)).total == 0
