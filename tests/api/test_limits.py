"""How often one may ask: exactly so often, told in each answer, counted by key, else by address."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from ipaddress import ip_address
from sys import getsizeof
from typing import Any

import pytest

from novita_gpu.api.limiter import FAILURES, MOST_CALLERS, SPAN_S, Limiter, Windows
from novita_gpu.api.origin import Proxies
from novita_gpu.store.base import Unavailable
from tests.api.served import KEYS, Answer, Scope, Served, served
from tests.told import Told

N = 20


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Limited:
    api: Served
    clock: Clock
    headers: dict[str, str] = field(default_factory=dict[str, str])

    async def get(self, path: str = "/api/instances", **how: Any) -> Answer:
        return await self.api.get(path, **{**self.headers, **how})


@asynccontextmanager
async def limited(valkey: str, per_minute: int = N, **parts: Any) -> AsyncGenerator[Limited]:
    clock = Clock()
    async with served(valkey, limiter=Limiter(per_minute, monotonic=clock), **parts) as api:
        yield Limited(api, clock)


async def test_exactly_n_of_n_and_fifty_at_once_pass_and_the_next_after_retry_after(valkey: str) -> None:
    async with limited(valkey) as it:
        answers = await asyncio.gather(*(it.get() for _ in range(N + 50)))
        assert sum(answer.status == 200 for answer in answers) == N
        refused = [answer for answer in answers if answer.status != 200]
        assert {(answer.status, answer.code) for answer in refused} == {(429, "RATE_LIMIT_EXCEEDED")}
        assert (await it.get(key=Scope.READ)).status == 200, "another key has its own"
        it.clock.now += 12.5
        refused = await it.get()
        assert (refused.headers["retry-after"], refused.json["error"]["retryAfterMs"]) == ("48", 47_500)
        it.clock.now += 47.4
        assert (await it.get()).status == 429
        it.clock.now += 48 - 47.4
        answers = await asyncio.gather(*(it.get() for _ in range(N + 50)))
        assert sum(answer.status == 200 for answer in answers) == N


async def test_every_limited_answer_says_where_its_caller_stands(valkey: str) -> None:
    async with limited(valkey, 3) as it:
        first, second, third = await it.get(), await it.get("/api/instances/nobody"), await it.get("/nowhere")
        it.clock.now += 20
        over = await it.get()
    assert [answer.status for answer in (first, second, third, over)] == [200, 404, 404, 429]
    told = [(answer.headers["x-ratelimit-remaining"], answer.headers["ratelimit"]) for answer in (first, third, over)]
    assert told == [("2", '"key";r=2;t=60'), ("0", '"key";r=0;t=60'), ("0", '"key";r=0;t=40')]
    assert {a.headers["ratelimit-policy"] for a in (first, over)} == {'"key";q=3;w=60'}
    assert (over.headers["x-ratelimit-limit"], over.headers["retry-after"]) == ("3", "40")
    assert 0 <= int(first.headers["x-ratelimit-reset"]) - int(over.headers["x-ratelimit-reset"]) <= 21


async def test_health_and_live_streams_are_not_counted_but_whoever_only_says_stream_is(valkey: str) -> None:
    async with limited(valkey, 1) as it:
        for path in ("/health", "/health/live", "/health/ready") * 2:
            answer = await it.get(path)
            assert (answer.status, "ratelimit" in answer.headers) == (200, False)
        told = {"Authorization": f"Bearer {KEYS[Scope.ADMIN]}", "Accept": "text/event-stream"}
        for _ in range(3):
            async with it.api.http.get(f"{it.api.root}/api/events", headers=told) as stream:
                assert stream.status == 200
        assert (await it.get(Accept="text/event-stream")).status == 200
        assert (await it.get(Accept="text/event-stream")).status == 429


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_health_answers_whoever_asks_with_whatever_key_and_helps_no_guess(valkey: str, path: str) -> None:
    async with limited(valkey) as it:
        known = await it.get(path, key=Scope.READ)
        guesses = [await it.get(path, key="ngpu_wrong") for _ in range(FAILURES + 5)]
        lucky, nobody = await it.get(path, key=Scope.ADMIN), await it.get(path, key=None)
        assert (await it.get(key=Scope.ADMIN)).status == 429, "guesses are counted here too"
        again = await it.get(path, key=Scope.READ)
    answers = [known, *guesses, lucky, nobody, again]
    assert {(answer.status, "ratelimit" in answer.headers) for answer in answers} == {(200, False)}
    assert {frozenset(answer.json) for answer in [*guesses, lucky]} == {frozenset(nobody.json)}
    assert set(again.json) == set(known.json)


async def test_without_a_key_the_address_is_counted(valkey: str) -> None:
    proxies = Proxies(networks=("127.0.0.0/8",))
    async with limited(valkey, 2, proxies=proxies) as it:
        for address, status in [("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)]:
            assert (await it.get("/docs", key=None, X_Forwarded_For=address)).status == status


async def test_zero_is_no_limit_and_no_header(valkey: str) -> None:
    async with limited(valkey, 0) as it:
        answers = await asyncio.gather(*(it.get() for _ in range(150)))
    assert {(answer.status, "ratelimit" in answer.headers) for answer in answers} == {(200, False)}


async def test_s1_guessing_is_stopped_though_the_next_guess_is_right_and_whoever_was_let_in_goes_on(
    valkey: str,
) -> None:
    async with limited(valkey, 0) as it:
        assert (await it.get(key=Scope.READ)).status == 200
        guesses = [await it.get(key="ngpu_wrong") for _ in range(FAILURES + 5)]
        assert [answer.status for answer in guesses] == [401] * FAILURES + [429] * 5
        lucky = await it.get(key=Scope.ADMIN)
        assert (lucky.status, lucky.headers["retry-after"]) == (429, "60")
        assert (await it.get(key=Scope.READ)).status == 200
        assert (await it.get("/health", key=None)).status == 200
        it.clock.now += SPAN_S
        assert (await it.get(key=Scope.ADMIN)).status == 200


def hits(log: StringIO) -> list[tuple[str, str | None]]:
    """Policy and key of each line that tells of a limit."""
    known = [json.loads(line) for line in log.getvalue().splitlines()]
    return [(line["policy"], line["key_id"]) for line in known if line["event"] == "limit.hit"]


async def test_who_is_sent_away_is_told_of_once_in_a_minute(valkey: str, told: Told) -> None:
    log = told()
    async with limited(valkey, 2) as it:
        for key in (Scope.READ, Scope.OPERATE):
            for _ in range(6):
                await it.get(key=key)
        assert hits(log) == [("key", "key_read"), ("key", "key_operate")]
        for _ in range(FAILURES):
            await it.get("/health", key="ngpu_wrong")
        for key in (*[Scope.ADMIN] * 8, *["ngpu_wrong"] * 8):
            assert (await it.get(key=key)).status == 429
        assert hits(log)[2:] == [("wrong-keys", "key_admin")]
        it.clock.now += SPAN_S
        for _ in range(6):
            await it.get(key=Scope.READ)
        assert hits(log)[3:] == [("key", "key_read")]


def asked(peer: str, **headers: str) -> dict[str, Any]:
    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (peer, 1), "headers": told}


PROXY, TRUSTED = "10.0.0.1", Proxies(networks=("10.0.0.0/8", "2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("peer", "headers", "counted"),
    [
        ("192.0.2.9", {"x_forwarded_for": "1.1.1.1"}, "192.0.2.9"),
        ("192.0.2.9", {"forwarded": "for=1.1.1.1"}, "192.0.2.9"),
        (PROXY, {}, PROXY),
        (PROXY, {"x_forwarded_for": "192.0.2.1"}, "192.0.2.1"),
        (PROXY, {"x_forwarded_for": "1.1.1.1, 192.0.2.1"}, "192.0.2.1"),
        (PROXY, {"x_forwarded_for": "1.1.1.1, 192.0.2.1, 10.9.9.9"}, "192.0.2.1"),
        (PROXY, {"x_forwarded_for": "10.1.1.1, 10.9.9.9"}, "10.1.1.1"),
        (PROXY, {"x_forwarded_for": "192.0.2.1:4711"}, "192.0.2.1"),
        (PROXY, {"x_forwarded_for": "nonsense"}, PROXY),
        (PROXY, {"x_forwarded_for": "192.0.2.1, nonsense, 10.9.9.9"}, "10.9.9.9"),
        (PROXY, {"forwarded": 'for=1.1.1.1;proto=http, For="[2001:db8::7]:80"'}, "2001:db8::/64"),
        (PROXY, {"forwarded": "for=_hidden"}, PROXY),
        (PROXY, {"forwarded": "for=1.1.1.1", "x_forwarded_for": "192.0.2.1"}, PROXY),
        (PROXY, {"forwarded": "for=192.0.2.1", "x_forwarded_for": "192.0.2.1"}, "192.0.2.1"),
        ("2001:db8:1::5", {"x_forwarded_for": "2001:db8:2:3:4:5:6:7"}, "2001:db8:2:3::/64"),
        ("::ffff:192.0.2.9", {"x_forwarded_for": "1.1.1.1"}, "192.0.2.9"),
        ("::ffff:10.0.0.1", {"x_forwarded_for": "::ffff:192.0.2.1"}, "192.0.2.1"),
    ],
)
def test_s7_only_trusted_proxies_say_where_a_request_comes_from(
    peer: str, headers: dict[str, str], counted: str
) -> None:
    assert TRUSTED.caller(asked(peer, **headers)) == counted


async def test_s7_a_forged_address_does_not_dodge_the_limit(valkey: str) -> None:
    async with limited(valkey, 3) as it:
        forged = [f"192.0.2.{number}" for number in range(5)]
        answers = [await it.get("/docs", key=None, X_Forwarded_For=one, Forwarded=f"for={one}") for one in forged]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]


def test_s7_a_million_addresses_take_no_more_memory_than_fifty_thousand() -> None:
    clock = Clock()
    windows = Windows(clock)
    first = int(ip_address("2001:db8::"))
    for number in range(1_000_000):
        windows.add(f"{first + number:x}")
    table = windows._windows  # pyright: ignore[reportPrivateUsage] — its size is what is promised
    size = getsizeof(table) + sum(getsizeof(at) + getsizeof(window) + 24 for at, window in table.items())
    assert len(windows) == MOST_CALLERS
    assert size < 20_000_000
    clock.now += SPAN_S
    windows.add("another")
    assert len(windows) == 1, "what is over is forgotten"


async def test_a_flood_of_addresses_makes_no_key_forgotten() -> None:
    limiter = Limiter(1, monotonic=Clock())
    assert await limiter.of_key("key_1")
    for number in range(MOST_CALLERS + 10):
        limiter.of_address(str(number))
    again = await limiter.of_key("key_1")
    assert again
    assert again.is_over


async def test_replicas_count_a_key_together_and_alone_while_the_store_is_out(valkey: str) -> None:
    class Out:
        asked = 0

        async def add(self, caller: str, span_s: float) -> tuple[int, float]:
            self.asked += 1
            raise Unavailable("it is out")

    async with served(valkey) as api:
        one, two = (Limiter(N, shared=api.store.windows, shared_within_s=30) for _ in range(2))
        counted = await asyncio.gather(*(each.of_key("key_1") for each in (one, two) for _ in range(N)))
        assert sum(quota is not None and not quota.is_over for quota in counted) == N
        assert all(quota and 59 < quota.left_s <= 60 for quota in counted)
    clock, out = Clock(), Out()
    alone = Limiter(1, monotonic=clock, shared=out)
    counted = [await alone.of_key("key_1") for _ in range(3)]
    assert [quota and quota.used for quota in counted] == [1, 2, 3]
    assert out.asked == 1, "it is not asked again at once"
    clock.now += 3
    await alone.of_key("key_1")
    assert out.asked == 2
