"""When a delivery is tried again, as a table."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.webhooks.schedule import LONGEST_REST, SCHEDULE, Reply, next_try, retry_after
from tests.webhooks.outbox import STARTED_AT, a_delivery

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PAUSES = [
    5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR
]  # fmt: skip


def a_reply(status: int | None = 500, **fields: object) -> Reply:
    return Reply(at=STARTED_AT, status_code=status, **fields)  # type: ignore[arg-type]


def test_a_receiver_that_always_fails_is_tried_ten_times_by_the_schedule() -> None:
    delivery, pauses = a_delivery(), list[timedelta]()
    while delivery.state == "pending":
        before = delivery
        delivery = next_try(before, a_reply(), STARTED_AT, 0.0)
        pauses.append(delivery.due - STARTED_AT)
    assert pauses[:-1] == PAUSES
    assert len(delivery.tries) == 10
    assert delivery.state == "exhausted"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (301, "pending"),
        (302, "pending"),
        (400, "pending"),
        (404, "pending"),
        (410, "exhausted"),
        (429, "pending"),
        (500, "pending"),
        (None, "pending"),
    ],
)
def test_what_a_status_makes_of_a_delivery(status: int | None, state: str) -> None:
    assert next_try(a_delivery(), a_reply(status), STARTED_AT, 0.5).state == state


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, 5 * SECOND), (2 * SECOND, 5 * SECOND), (7 * MINUTE, 7 * MINUTE)],
)
def test_retry_after_makes_a_pause_longer_and_never_shorter(asked: timedelta | None, pause: timedelta) -> None:
    assert next_try(a_delivery(), a_reply(503, retry_after=asked), STARTED_AT, 0.0).due == STARTED_AT + pause


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", timedelta(0)),
        ("120", 2 * MINUTE),
        ("99999999999999999999", LONGEST_REST),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
        pytest.param(f"{STARTED_AT + 90 * SECOND:%a, %d %b %Y %H:%M:%S} GMT", 90 * SECOND, id="date"),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_bounded(header: str | None, pause: timedelta | None) -> None:
    assert retry_after(header, STARTED_AT) == pause


@given(st.lists(st.sampled_from([200, 301, 404, 410, 429, 503, None]), max_size=14), st.floats(0, 1))
def test_an_open_delivery_is_always_due_later_and_a_closed_one_is_never_touched(
    statuses: list[int | None], jitter: float
) -> None:
    delivery, now = a_delivery(), STARTED_AT
    for status in statuses:
        if delivery.state != "pending":
            break
        delivery = next_try(delivery, a_reply(status), now, jitter)
        assert (delivery.state == "pending") == (delivery.due > now)
        pause = SCHEDULE[min(len(delivery.tries), 9)]
        assert delivery.due - now <= pause * 1.2 + SECOND
        now = max(now, delivery.due)
    assert len(delivery.tries) <= len(SCHEDULE)
