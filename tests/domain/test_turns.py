"""Turns of many: spread over time, and nobody is put off for ever."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.turns import A_SECOND, turns
from tests.domain.given import T0

MANY = [InstanceId(f"ins_{number}") for number in range(5000)]
moments = st.integers(0, 10**9).map(lambda micros: T0 + timedelta(microseconds=micros))


def test_l6_thousands_are_spread_over_half_a_minute() -> None:
    times = turns(MANY, T0)
    seconds = Counter(int((at - T0).total_seconds()) for at in times.values())
    assert min(times.values()) >= T0
    assert len(seconds) == 32
    assert max(seconds.values()) < A_SECOND * 1.2


@given(moments, st.integers(0, 3000))
def test_asked_for_again_before_it_comes_the_turn_is_the_same(now: datetime, later_ms: int) -> None:
    one = MANY[7]
    at = turns(MANY, now)[one]
    again = now + timedelta(milliseconds=later_ms)
    assert turns(MANY, again)[one] == at or again > at


@given(moments, st.integers(1, len(MANY)))
def test_among_fewer_a_turn_never_comes_later(now: datetime, fewer: int) -> None:
    among_all, among_few = turns(MANY, now), turns(MANY[:fewer], now)
    assert all(now <= among_few[one] <= among_all[one] for one in MANY[:fewer:97])
