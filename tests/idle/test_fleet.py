"""The part that every run makes: one fleet for a day. `make idle` runs more."""

from collections.abc import Callable

from tests.idle.days import lived
from tests.idle.table import lines

pytest_plugins = ("tests.valkey",)


async def test_nothing_is_stopped_in_use_and_nothing_left_idle_in_a_day(
    valkey_url: str, figure: Callable[[str], None]
) -> None:
    found, happened, seconds = await lived(valkey_url, seed=2, days=1)
    for line in lines(found, happened, 1, seconds):
        figure(line)
    assert [promise for one in found.values() for promise in one.broken] == []
    assert sum(one.stops for one in found.values()) > 15
    assert {what for what in happened if "times" not in what} >= {"cloud out", "restart"}
