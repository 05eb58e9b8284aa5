"""What stops by an instance's own policy have saved."""

from datetime import timedelta

from novita_gpu.domain.money import grains
from novita_gpu.domain.saving import Saving, began, ended, saved
from tests.domain.given import T0, at

RATE = 35_000 * 24
HOUR = timedelta(hours=1)


def test_it_counts_from_the_stop_until_it_is_wanted_again() -> None:
    saving = began(Saving(), RATE)
    assert saved(saving, T0, T0 + 2 * HOUR) == grains(RATE, 2 * HOUR)
    over = ended(saving, T0, T0 + 3 * HOUR)
    assert saved(over, None, T0 + 9 * HOUR) == grains(RATE, 3 * HOUR)
    again = began(over, RATE)
    assert saved(again, T0 + 9 * HOUR, T0 + 10 * HOUR) == grains(RATE, 4 * HOUR)
    assert again.stops == 2


def test_a_stop_that_has_not_come_about_has_saved_nothing() -> None:
    saving = began(Saving(), RATE)
    assert saved(saving, None, T0 + HOUR) == 0
    assert saved(saving, at(100), T0) == 0
    assert ended(saving, None, T0 + HOUR) == Saving(stops=1, rate=RATE)


def test_a_stop_that_a_person_asked_for_adds_nothing_at_the_next_start() -> None:
    over = ended(began(Saving(), RATE), T0, T0 + HOUR)
    assert ended(over, T0 + 5 * HOUR, T0 + 9 * HOUR) == over
