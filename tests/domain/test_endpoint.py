"""When a registered receiver takes an event, what signs for it, and when it is switched off."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from novita_gpu.domain.endpoint import FAILS_FOR, ROTATES_FOR, Endpoint, failed, left, rotated, succeeded, switched
from novita_gpu.domain.events import DELIVERED, EventType

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOOK = Endpoint(id="whe_1", url="https://hook.example/", secret="whsec_one", created_at=NOON, updated_at=NOON)


@pytest.mark.parametrize("type_", EventType)
def test_without_a_filter_it_takes_what_is_delivered_but_tests(type_: EventType) -> None:
    assert HOOK.takes(type_) == (type_ in DELIVERED and type_ is not EventType.WEBHOOK_TEST)
    assert not replace(HOOK, enabled=False).takes(type_)
    assert replace(HOOK, types=(EventType.READY,)).takes(type_) == (type_ is EventType.READY)


def test_two_secrets_sign_for_a_day_after_a_rotation_and_never_three() -> None:
    once = rotated(HOOK, "whsec_two", NOON)
    assert once.secrets(NOON) == once.secrets(NOON + ROTATES_FOR - SECOND) == ("whsec_two", "whsec_one")
    assert once.secrets(NOON + ROTATES_FOR) == ("whsec_two",)
    assert rotated(once, "whsec_three", NOON + SECOND).secrets(NOON + SECOND) == ("whsec_three", "whsec_two")


def test_it_is_switched_off_after_days_of_nothing_but_failures() -> None:
    endpoint, at = HOOK, NOON
    while at < NOON + FAILS_FOR:
        endpoint = failed(endpoint, at)
        assert endpoint.enabled
        at += timedelta(hours=7)
    endpoint = failed(endpoint, at)
    assert (endpoint.enabled, endpoint.off_reason) == (False, "nothing but failures for 5 days")
    assert endpoint.failing_since == NOON
    assert failed(endpoint, at + FAILS_FOR) == endpoint


def test_one_success_and_the_days_begin_anew() -> None:
    failing = failed(HOOK, NOON)
    late = NOON + FAILS_FOR
    again = failed(succeeded(failing), late)
    assert again.enabled
    assert again.failing_since == late
    assert succeeded(HOOK) == HOOK


def test_one_that_says_that_it_is_gone_is_switched_off_at_once() -> None:
    off = left(HOOK, NOON)
    assert (off.enabled, off.off_reason) == (False, "it answered 410 Gone")
    assert left(off, NOON + SECOND) is off
    assert switched(off, NOON + SECOND, on=True).enabled


def test_switched_on_by_hand_it_has_its_days_again() -> None:
    off = failed(failed(HOOK, NOON), NOON + FAILS_FOR)
    on = switched(off, NOON + FAILS_FOR, on=True)
    assert (on.enabled, on.off_reason, on.failing_since) == (True, None, None)
    assert failed(on, NOON + FAILS_FOR + SECOND).enabled
    assert switched(HOOK, NOON, on=True) is HOOK


def test_s6_secrets_do_not_print() -> None:
    assert "whsec_one" not in repr(rotated(HOOK, "whsec_two", NOON))
    assert "whsec_two" not in repr(rotated(HOOK, "whsec_two", NOON))
