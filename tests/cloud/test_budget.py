"""Calls per minute: bursts are allowed, a tenth is kept for stops, and listings are stretched to half of it."""

from datetime import timedelta

import pytest
from canned import HandClock
from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.cloud.base import Lane, Throttled
from novita_gpu.cloud.budget import Budget


def take_all(budget: Budget, lane: Lane) -> int:
    taken = 0
    while taken < 10_000:
        try:
            budget.take(lane)
        except Throttled:
            return taken
        taken += 1
    raise AssertionError("it never refused")


def test_a_tenth_is_kept_for_saving() -> None:
    budget = Budget(100, HandClock().monotonic)
    assert take_all(budget, Lane.SPENDING) == 90
    assert take_all(budget, Lane.LOOKING) == 0
    assert take_all(budget, Lane.SAVING) == 10


def test_saving_may_use_it_all() -> None:
    assert take_all(Budget(100, HandClock().monotonic), Lane.SAVING) == 100


@pytest.mark.parametrize("calls", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("lane", Lane)
def test_who_waits_as_long_as_told_is_let_through(calls: int, lane: Lane) -> None:
    clock = HandClock()
    budget = Budget(calls, clock.monotonic)
    take_all(budget, Lane.SAVING)
    for _ in range(5):
        with pytest.raises(Throttled) as caught:
            budget.take(lane)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > timedelta(0)
        clock.turn(caught.value.retry_after.total_seconds())
        budget.take(lane)
        take_all(budget, Lane.SAVING)


def test_calls_that_must_follow_put_the_others_into_debt_but_not_saving() -> None:
    clock = HandClock()
    budget = Budget(60, clock.monotonic)
    for _ in range(80):
        budget.charge()
    with pytest.raises(Throttled) as caught:
        budget.take(Lane.SPENDING)
    assert caught.value.retry_after == timedelta(seconds=27)
    assert take_all(budget, Lane.SAVING) == 6


def test_zero_is_no_limit_and_is_counted() -> None:
    clock = HandClock()
    budget = Budget(0, clock.monotonic)
    for _ in range(1000):
        budget.take(Lane.SPENDING)
    assert (budget.used_last_minute, budget.left) == (1000, None)
    clock.turn(60)
    assert budget.used_last_minute == 0
    assert budget.looking_interval(50, timedelta(seconds=1)) == timedelta(seconds=1)


def test_left_and_used() -> None:
    clock = HandClock()
    budget = Budget(100, clock.monotonic)
    budget.take(Lane.SPENDING)
    assert (budget.used_last_minute, budget.left) == (1, 89)
    clock.turn(1)
    assert (budget.used_last_minute, budget.left) == (1, 90)


@pytest.mark.parametrize(
    ("pages", "wanted", "interval"), [(1, 5, 5), (1, 1, 1.2), (10, 5, 12), (100, 5, 120), (0, 1, 1.2)]
)
def test_listings_take_at_most_half(pages: int, wanted: float, interval: float) -> None:
    stretched = Budget(100, HandClock().monotonic).looking_interval(pages, timedelta(seconds=wanted))
    assert stretched == timedelta(seconds=interval)


@given(
    calls=st.integers(1, 200),
    steps=st.lists(st.tuples(st.sampled_from(list(Lane)), st.floats(0, 20), st.integers(1, 30)), max_size=30),
)
def test_over_any_time_no_more_is_let_through_than_the_burst_and_the_refill(
    calls: int, steps: list[tuple[Lane, float, int]]
) -> None:
    clock = HandClock()
    budget = Budget(calls, clock.monotonic)
    taken, began = 0, clock.seconds
    for lane, pause, count in steps:
        clock.turn(pause)
        for _ in range(count):
            try:
                budget.take(lane)
            except Throttled as error:
                assert error.retry_after
                break
            taken += 1
        assert taken <= max(2, calls) + (clock.seconds - began) * calls / 60 + 0.001
