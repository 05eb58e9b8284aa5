"""What an instance reserves of the operator's limits, in each of its states."""

from msgspec.structs import replace

from novita_gpu.domain.instance import AttemptState, Failure, MutationKind, Seen, Status, Wish, status
from novita_gpu.domain.limits import Limits, Reserved, broken, figures, over_price, reserved
from tests.domain.given import at, attempt, launched, mutation, new, ready, running, stopped

RATE = 35_000 * 24
DEAREST = 67_000 * 24


def test_before_an_attempt_it_is_the_dearest_offer_that_is_allowed() -> None:
    assert reserved(new(dearest=67_000)) == DEAREST


def test_from_an_attempt_on_it_is_what_that_one_costs() -> None:
    assert reserved(new(dearest=67_000, attempts=(attempt(),))) == RATE
    assert reserved(launched(dearest=67_000)) == RATE
    assert reserved(running()) == reserved(ready()) == RATE


def test_what_is_to_stop_reserves_until_it_has() -> None:
    stopping = replace(stopped(), seen=Seen(at=at(90), status="stopping"))
    assert reserved(stopping) == RATE
    assert reserved(stopped()) == 0
    assert reserved(new(wants=Wish.STOPPED, dearest=67_000, attempts=(attempt(),))) == RATE
    assert reserved(new(wants=Wish.STOPPED, dearest=67_000)) == 0


def test_a_stopped_one_reserves_its_disk() -> None:
    big = stopped()
    big = replace(big, spec=replace(big.spec, rootfs_size_gb=100))
    assert reserved(big) == 40 * 500
    assert reserved(replace(big, wants=Wish.RUNNING)) == RATE + 40 * 500


def test_what_waits_for_room_failed_or_is_closed_reserves_nothing() -> None:
    waiting = new(dearest=67_000)
    assert reserved(replace(waiting, run=replace(waiting.run, no_room=True))) == 0
    assert reserved(new(dearest=67_000, failure=Failure(code="NO_OFFER", message="", at=at(1)))) == 0
    assert reserved(new(dearest=67_000, deleted_at=at(1))) == 0
    tried = attempt(state=AttemptState.REFUSED)
    assert reserved(new(dearest=67_000, attempts=(tried,))) == DEAREST


def test_a_refusal_says_which_limit_and_its_figures() -> None:
    limits = Limits(max_instances=2, max_burn=1_680_000, max_price=70_000)
    assert "MAX_INSTANCES is 2" in broken(limits, Reserved(instances=3, rate=0), 0)
    told = broken(limits, Reserved(instances=2, rate=RATE * 3), RATE)
    assert told.startswith("MAX_BURN_USD_PER_HOUR is 0.7000")
    assert "1.0500" in told
    assert figures(limits, Reserved(instances=2, rate=RATE * 3), RATE) == {
        "askedUsdPerHour": "0.3500",
        "instances": 2,
        "reservedUsdPerHour": "1.0500",
        "maxInstances": 2,
        "maxBurnUsdPerHour": "0.7000",
        "maxPriceUsdPerHour": "0.7000",
    }
    assert over_price(70_001, limits)
    assert over_price(70_000, limits) is None


def test_what_may_be_coming_up_is_not_down_though_it_was_seen_exited_before() -> None:
    """T8: a start that was accepted a moment ago and is not shown yet."""
    started = replace(stopped(), mutation=mutation(MutationKind.START, 150))
    assert status(started) is Status.STOPPING
    assert reserved(started) == RATE
    seen = replace(started, seen=Seen(at=at(160), status="exited"))
    assert status(seen) is Status.STOPPED
    refused = replace(started, mutation=mutation(MutationKind.START, 150, refused=True))
    assert status(refused) is Status.STOPPED
