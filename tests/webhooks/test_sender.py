"""Deliveries over real HTTP: what receivers see, and what the outbox knows afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json
from msgspec.structs import replace

from novita_gpu.contract import EventView, encode, event_view
from novita_gpu.egress import Networks, guarded_session
from novita_gpu.webhooks import Sender
from novita_gpu.webhooks.message import body_of
from novita_gpu.webhooks.post import KEPT_BYTES, redacted
from novita_gpu.webhooks.schedule import SCHEDULE
from novita_gpu.webhooks.sender import LEASE, PATIENCE, PER_HOST
from tests.architecture.pages import named
from tests.webhooks.outbox import STARTED_AT, Clock, Outbox, Plainly, an_event, drained
from tests.webhooks.receiver import OLD_SECRET, SECRET, Receiver, listening, verified

LOOPBACK = Networks.parse("127.0.0.0/8")


@asynccontextmanager
async def sending(
    outbox: Outbox,
    clock: Clock,
    deadline: timedelta = timedelta(seconds=10),
    session: Callable[[], aiohttp.ClientSession] = lambda: guarded_session(LOOPBACK),
) -> AsyncGenerator[Sender]:
    sender = Sender(
        outbox,
        outbox.event_of,
        Plainly(SECRET, OLD_SECRET),
        session,
        clock,
        lambda: 0.0,
        deadline=deadline,
    )
    try:
        yield sender
    finally:
        await sender.aclose()


async def test_a_receiver_gets_the_stored_event_signed_with_both_secrets() -> None:
    outbox, clock = Outbox(), Clock()
    async with listening(Receiver()) as receiver, sending(outbox, clock) as sender:
        outbox.put(7, receiver.url)
        assert await drained(sender, clock.now) is None
    assert receiver.bodies == [
        {
            "type": "instance.ready",
            "timestamp": STARTED_AT.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "data": {
                "sequence": 7,
                "operationId": "op_1",
                "reason": "answers on all its ports",
                "instance": {"id": "ins_00000000000000000000000001", "name": "grün", "sequence": 7},
                "previousStatus": "running",
            },
        }
    ]
    [headers] = receiver.headers
    assert headers["webhook-id"] == "msg_7"
    assert headers["x-correlation-id"] == "cor-7"
    assert headers["content-type"] == "application/json"
    assert len(headers["webhook-signature"].split()) == 2


async def test_the_old_secret_still_verifies_while_rotating() -> None:
    outbox, clock = Outbox(), Clock()
    seen: list[bool] = []

    async def check(request: web.Request) -> web.Response:
        verified(OLD_SECRET, await request.read(), request.headers)
        seen.append(True)
        return web.Response()

    receiver = Receiver()
    receiver.handle = check  # type: ignore[method-assign]
    async with listening(receiver), sending(outbox, clock) as sender:
        outbox.put(1, receiver.url)
        await drained(sender, clock.now)
    assert seen == [True]


async def test_a_failed_one_comes_again_by_the_schedule_with_the_same_id_and_then_never() -> None:
    answers = iter([500, 302, 200])
    outbox, clock = Outbox(), Clock()
    async with (
        listening(Receiver(lambda _: web.Response(status=next(answers), headers={"Location": "/x"}))) as receiver,
        sending(outbox, clock) as sender,
    ):
        outbox.put(1, receiver.url)
        assert await drained(sender, clock.now) == clock.now + SCHEDULE[1]
        await drained(sender, clock.turn(timedelta(seconds=4)))
        assert len(receiver.ids) == 1
        await drained(sender, clock.turn(timedelta(seconds=1)))
        clock.turn(timedelta(minutes=4))
        assert await drained(sender, clock.now) == clock.now + timedelta(minutes=1)
        await drained(sender, clock.turn(timedelta(seconds=55)) + timedelta(seconds=5))
        assert await drained(sender, clock.now + timedelta(days=9)) is None
    assert receiver.ids == ["msg_1"] * 3
    assert [t.status_code for t in outbox.kept["msg_1"].tries] == [500, 302, 200]


async def test_410_ends_it_and_it_stays_listed() -> None:
    outbox, clock = Outbox(), Clock()
    async with (
        listening(Receiver(lambda _: web.Response(status=410, text="moved out"))) as receiver,
        sending(outbox, clock) as sender,
    ):
        outbox.put(1, receiver.url)
        assert await drained(sender, clock.now) is None
    assert outbox.kept["msg_1"].state == "exhausted"
    assert outbox.kept["msg_1"].tries[0].answer == "moved out"


async def test_one_whose_event_is_gone_ends_without_a_request() -> None:
    outbox, clock = Outbox(), Clock()
    async with listening(Receiver()) as receiver, sending(outbox, clock) as sender:
        outbox.put(1, receiver.url)
        outbox.events.clear()
        assert await drained(sender, clock.now) is None
    assert receiver.ids == []
    assert outbox.kept["msg_1"].tries[0].error == "its event is no longer kept"


async def test_an_overloaded_receiver_is_spared_with_all_its_deliveries() -> None:
    busy = Receiver(lambda _: web.Response(status=429, headers={"Retry-After": "120"}))
    outbox, clock = Outbox(), Clock()
    async with listening(busy), sending(outbox, clock) as sender:
        for number in range(20):
            outbox.put(number, busy.url)
        next_at = await drained(sender, clock.now)
    assert next_at == clock.now + timedelta(seconds=120)
    assert len(busy.ids) <= 2 * PER_HOST, "those under way when it first said so, not all"
    assert all(d.state == "pending" for d in outbox.kept.values())
    assert sum(len(d.tries) for d in outbox.kept.values()) == len(busy.ids)


async def test_a_slow_receiver_holds_up_nobody_and_gets_four_at_once() -> None:
    slow, quick = Receiver(), Receiver()
    slow.gate.clear()
    outbox, clock = Outbox(), Clock()
    async with listening(slow), listening(quick), sending(outbox, clock) as sender:
        for number in range(150):
            outbox.put(number, slow.url)
        for number in range(150, 160):
            outbox.put(number, quick.url, STARTED_AT)
        assert await sender.drain(clock.now) == clock.now + PATIENCE
        await quick.wait_for(10)
        await slow.wait_for(PER_HOST)
        outbox.put(160, quick.url)
        await sender.drain(clock.now)
        await quick.wait_for(1)
        assert slow.open == PER_HOST, "new ones go out while the slow one still does not answer"
        slow.gate.set()
        assert await drained(sender, clock.now) is None
    assert slow.most_open == PER_HOST
    assert sorted(slow.ids) == sorted(f"msg_{n}" for n in range(150)), "each of them once"


async def test_no_answer_within_the_deadline_is_a_failed_try() -> None:
    outbox, clock = Outbox(), Clock()
    async with (
        listening(Receiver()) as receiver,
        sending(outbox, clock, deadline=timedelta(milliseconds=100)) as sender,
    ):
        receiver.gate.clear()
        outbox.put(1, receiver.url)
        await drained(sender, clock.now)
        await sender.settle()
    [made] = outbox.kept["msg_1"].tries
    assert made.error == "no answer within 0.1 s"
    assert made.duration_ms >= 90
    assert outbox.kept["msg_1"].due == clock.now + SCHEDULE[1]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[::", "http://nowhere.invalid/", "nonsense", ""])
async def test_an_address_that_cannot_be_reached_is_a_failed_try(url: str) -> None:
    outbox, clock = Outbox(), Clock()
    async with sending(outbox, clock) as sender:
        outbox.put(1, url)
        await drained(sender, clock.now)
        await sender.settle()
    [made] = outbox.kept["msg_1"].tries
    assert made.error
    assert outbox.kept["msg_1"].state == "pending"


async def test_s2_an_address_in_a_private_network_is_judged_at_each_send() -> None:
    outbox, clock = Outbox(), Clock()
    async with listening(Receiver()) as receiver, sending(outbox, clock, session=guarded_session) as sender:
        outbox.put(1, receiver.url)
        await drained(sender, clock.now)
        await sender.settle()
    assert receiver.ids == []
    assert outbox.kept["msg_1"].tries[0].error == "this address or port is not called"


async def test_a_cut_connection_is_a_failed_try() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    outbox, clock = Outbox(), Clock()
    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server, sending(outbox, clock) as sender:
        outbox.put(1, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await drained(sender, clock.now)
        await sender.settle()
    assert outbox.kept["msg_1"].tries[0].error


async def test_only_the_beginning_of_a_long_answer_is_kept() -> None:
    outbox, clock = Outbox(), Clock()
    async with (
        listening(Receiver(lambda _: web.Response(body=b"\xff" + b"x" * 5_000_000))) as receiver,
        sending(outbox, clock) as sender,
    ):
        outbox.put(1, receiver.url)
        await drained(sender, clock.now)
    assert outbox.kept["msg_1"].state == "delivered"
    assert outbox.kept["msg_1"].tries[0].answer == "\ufffd" + "x" * (KEPT_BYTES - 1)


async def test_t10_a_crash_between_send_and_save_sends_it_again_with_the_same_id() -> None:
    outbox, clock = Outbox(), Clock()
    async with listening(Receiver()) as receiver:
        receiver.gate.clear()
        async with sending(outbox, clock) as sender:
            outbox.put(1, receiver.url)
            await sender.drain(clock.now)
            await receiver.wait_for(1)
            outbox.broken = True
            receiver.gate.set()
            await sender.settle()
        outbox.broken = False
        async with sending(outbox, clock) as restarted:
            assert await drained(restarted, clock.now) == clock.now + LEASE
            assert await drained(restarted, clock.turn(LEASE)) is None
    assert receiver.ids == ["msg_1", "msg_1"]


async def test_overlapping_drains_of_several_processes_send_each_delivery_once() -> None:
    outbox, clock = Outbox(), Clock()
    async with (
        listening(Receiver()) as receiver,
        sending(outbox, clock) as one,
        sending(outbox, clock) as other,
    ):
        for number in range(50):
            outbox.put(number, receiver.url)
        await asyncio.gather(one.drain(clock.now), one.drain(clock.now), other.drain(clock.now))
        await asyncio.gather(one.settle(), other.settle())
        assert await drained(one, clock.now) is None
    assert sorted(receiver.ids) == sorted(f"msg_{n}" for n in range(50))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from([200, 410, 429, 500]), min_size=1, max_size=12), min_size=1, max_size=5))
def test_a_closed_one_is_never_sent_again_and_an_open_one_is_always_due(answers: list[list[int]]) -> None:
    asyncio.run(_follow(answers))


async def _follow(answers: list[list[int]]) -> None:
    """Each delivery gets its list of answers, and 200 after it; the clock is turned to what `drain` says."""
    sent: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        name = request.headers["webhook-id"]
        assert outbox.kept[name].state == "pending"
        replies = answers[int(name.removeprefix("msg_"))]
        sent.append(name)
        return web.Response(status=replies[nth - 1] if (nth := sent.count(name)) <= len(replies) else 200)

    receiver = Receiver()
    receiver.handle = handle  # type: ignore[method-assign]
    outbox, clock = Outbox(), Clock()
    async with listening(receiver), sending(outbox, clock) as sender:
        for number in range(len(answers)):
            outbox.put(number, f"{receiver.url}?receiver={number}")
        while (next_at := await drained(sender, clock.now)) is not None:
            await sender.settle()
            clock.now = max(clock.now, next_at)
    for number, replies in enumerate(answers):
        delivery = outbox.kept[f"msg_{number}"]
        expected = next((n for n, status in enumerate([*replies, 200], 1) if status in {200, 410}), 0)
        assert len(delivery.tries) == sent.count(delivery.id) == min(expected, len(SCHEDULE))
        assert delivery.state == ("delivered" if delivery.tries[-1].status_code == 200 else "exhausted")


def test_what_a_webhook_says_less_than_the_log_is_documented() -> None:
    event = replace(an_event(1), facts={"a": "b"})
    logged, sent = json.decode(encode(event_view(event))), json.decode(body_of(event))
    left_out = {*logged, *logged["data"]} - {*sent, *sent["data"]}
    assert left_out == {"id", "instanceId", "actor", "correlationId"}
    assert left_out <= set(named(EventView.__doc__ or ""))
    kept = {name: value for name, value in logged["data"].items() if name not in left_out}
    assert sent == {"type": logged["type"], "timestamp": logged["timestamp"], "data": kept}


@pytest.mark.parametrize("nothing", [None, Raw()], ids=["none", "read back"])
def test_an_event_of_no_instance_has_none_in_its_body(nothing: Raw | None) -> None:
    assert "instance" not in json.decode(body_of(replace(an_event(1), instance=nothing)))["data"]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("plain words: a queue is full", "plain words: a queue is full"),
        ('{"error":"no","token":"abc.def","n":1}', '{"error":"no","token":***,"n":1}'),
        ('{"api_key": "a\\"b', '{"api_key": ***'),
        ("password=hunter2&user=me", "password=***&user=me"),
        ("Authorization: Bearer abc.DEF-123", "Authorization: ***"),
        ("got basic dXNlcjpwYXNz here", "got basic *** here"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8I and ngpu_abc-1", "secret *** and ***"),
        ("webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "webhook-signature: ***"),
        ("postgres://me:pw@db/x", "postgres://***@db/x"),
        ("eyJhbGciOi.eyJzdWIi.sig", "***"),
        ("a\x1b[31mred\x00", "a\ufffd[31mred\ufffd"),
    ],
)
def test_s6_an_answer_is_kept_without_secrets(answer: str, kept: str) -> None:
    assert redacted(answer) == kept
