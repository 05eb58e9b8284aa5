"""What ran and what it cost at a moment is what the bills say."""

from datetime import UTC, datetime, timedelta

from novita_gpu.domain.bill import FREE, Bill, Rate, spent, turned
from novita_gpu.domain.curve import levels
from novita_gpu.domain.money import grains

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NONE = timedelta(0)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_each_change_shows_from_its_moment_on() -> None:
    one = turned(Bill(), Rate(compute=100, disk=5), at(10), NONE)
    one = turned(one, Rate(disk=5), at(20), NONE)
    other = turned(Bill(), Rate(compute=30), at(15), NONE)
    found = levels([one, other], [at(9), at(10), at(15), at(20), at(30)])
    assert [(each.running, each.rate) for each in found] == [(0, 0), (1, 105), (2, 135), (1, 35), (1, 35)]


def test_the_area_below_it_is_what_was_spent() -> None:
    bill = Bill()
    for minute, rate in ((1, Rate(compute=7, disk=1)), (3, Rate(disk=1)), (6, Rate(compute=9)), (8, FREE)):
        bill = turned(bill, rate, at(minute), NONE)
    minutes = [at(each) for each in range(10)]
    area = sum(grains(level.rate, timedelta(minutes=1)) for level in levels([bill], minutes))
    assert area == spent(bill, at(10)).total


def test_without_bills_it_is_flat() -> None:
    assert [(each.running, each.rate) for each in levels([], [at(0), at(1)])] == [(0, 0)] * 2
