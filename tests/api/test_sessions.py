"""A key exchanged for a cookie: who is let in by it, what it may change, and when it ends."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from novita_gpu.api.operation import Scope
from novita_gpu.api.session import (
    FRESH_FOR,
    IDLE_FOR,
    TOLD_EVERY,
    Sessions,
    borne,
    change_token,
    cookie,
    from_here,
    may_change,
)
from novita_gpu.store import open_store
from novita_gpu.store.keys import LOGGED_IN_FOR
from tests.api.served import KEYS, Answer, Ring, Served, served


def hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


@dataclass
class Clock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at

    def passes(self, time: timedelta) -> None:
        self.at += time


@dataclass(frozen=True)
class Site:
    """The API, its keyring, and two replicas' sessions on one clock."""

    api: Served
    ring: Ring
    clock: Clock
    here: Sessions
    there: Sessions

    async def log_in(self, scope: Scope = Scope.ADMIN) -> str:
        principal = await self.ring.principal(KEYS[scope])
        assert principal
        return await self.here.begin(principal)

    async def ask(self, method: str, path: str, token: str, **headers: Any) -> Answer:
        body: object = None if method == "GET" else {}
        return await self.api.ask(method, path, body, key=None, Cookie=f"novita-gpu={token}", **headers)


@pytest.fixture
async def site(valkey: str) -> AsyncGenerator[Site]:
    ring, clock = Ring(), Clock()
    async with served(valkey, keyring=ring, heartbeat=timedelta(seconds=0.05)) as api:
        here, there = (Sessions(api.store, ring, clock.now) for _ in range(2))
        api.desk.sessions = here
        yield Site(api, ring, clock, here, there)


async def test_a_session_reads_what_its_key_may(site: Site) -> None:
    token = await site.log_in(Scope.READ)
    assert (await site.ask("GET", "/api/instances", token)).status == 200
    assert (await site.ask("GET", "/api/webhooks/endpoints", token)).status == 403
    assert (await site.ask("GET", "/api/instances", "x" * len(token))).status == 401


async def test_s3_a_change_without_the_token_of_its_page_is_refused(site: Site) -> None:
    token, other = await site.log_in(), await site.log_in()
    for wrong in ("", "wrong", change_token(other), token):
        answer = await site.ask("POST", "/api/instances/stop-all", token, X_CSRF_Token=wrong)
        assert (answer.status, answer.code) == (403, "FORBIDDEN")
        assert "X-CSRF-Token" in answer.json["error"]["message"]


async def test_s3_a_change_with_it_is_made_by_the_key(site: Site) -> None:
    record = await site.api.created()
    token = await site.log_in(Scope.OPERATE)
    answer = await site.ask("POST", f"/api/instances/{record.id}/stop", token, X_CSRF_Token=change_token(token))
    assert answer.status == 202
    last = (await site.api.get(f"/api/instances/{record.id}/events")).json["events"][-1]
    assert last["data"]["actor"] == "operate-key"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
async def test_s3_another_site_changes_nothing_though_it_has_the_token(site: Site, headers: dict[str, str]) -> None:
    token = await site.log_in()
    told = {"X_CSRF_Token": change_token(token), **headers}
    assert (await site.ask("POST", "/api/instances/stop-all", token, **told)).status == 403


async def test_s3_a_form_of_another_site_is_refused_before_its_body_is_looked_at(site: Site) -> None:
    token = await site.log_in()
    answer = await site.api.ask(
        "POST", "/api/instances/stop-all", key=None, raw=b"dryRun=false", Cookie=f"novita-gpu={token}",
        Content_Type="application/x-www-form-urlencoded", Origin="https://evil.example",
    )  # fmt: skip
    assert answer.status == 403


async def test_a_key_beside_the_cookie_goes_before_it(site: Site) -> None:
    token = await site.log_in(Scope.READ)
    answer = await site.api.post("/api/instances/stop-all", {}, key=Scope.ADMIN, Cookie=f"novita-gpu={token}")
    assert answer.status == 202
    assert (await site.api.get("/api/instances", key="wrong", Cookie=f"novita-gpu={token}")).status == 401


async def test_the_store_forgets_it_when_it_is_not_used_and_then_it_is_over(site: Site) -> None:
    token = await site.log_in()
    left = await site.api.store.wire.ttl_ms(site.api.store.keys.session(hashed(token)))
    assert 0 < left <= IDLE_FOR.total_seconds() * 1000
    await site.api.store.sessions.end(hashed(token))
    site.clock.passes(IDLE_FOR)
    assert await site.here.principal(token) is None


async def test_use_puts_its_end_off(site: Site) -> None:
    token = await site.log_in()
    key = site.api.store.keys.session(hashed(token))
    await site.api.store.wire.expire(key, 1000)
    site.clock.passes(TOLD_EVERY)
    assert await site.here.principal(token)
    assert await site.api.store.wire.ttl_ms(key) > 1000


async def test_it_ends_however_much_it_is_used(site: Site) -> None:
    token = await site.log_in()
    for _ in range(int(LOGGED_IN_FOR / IDLE_FOR * 2) - 1):
        site.clock.passes(IDLE_FOR / 2)
        assert await site.here.principal(token)
    site.clock.passes(IDLE_FOR / 2)
    assert await site.here.principal(token) is None


async def test_all_replicas_know_it_and_that_it_was_ended(site: Site) -> None:
    token = await site.log_in()
    assert await site.there.principal(token)
    await site.here.end(token)
    assert await site.here.principal(token) is None
    site.clock.passes(FRESH_FOR)
    assert await site.there.principal(token) is None


async def test_use_elsewhere_does_not_bring_back_what_was_ended(site: Site) -> None:
    token = await site.log_in()
    await site.there.principal(token)
    await site.here.end(token)
    site.clock.passes(TOLD_EVERY)
    await site.there.principal(token)
    assert await site.here.principal(token) is None


async def test_a_stream_ends_with_the_session_that_opened_it(site: Site) -> None:
    """Also when the log-out was at another replica."""
    token = await site.log_in(Scope.READ)
    told = {"Cookie": f"novita-gpu={token}", "Accept": "text/event-stream"}
    async with asyncio.timeout(20), site.api.http.get(f"{site.api.root}/api/events", headers=told) as stream:
        assert await stream.content.readline() == b"retry: 2000\n"
        await site.there.end(token)
        site.clock.passes(FRESH_FOR)
        await stream.content.read()


async def test_a_revoked_key_ends_it_at_once(site: Site) -> None:
    token = await site.log_in(Scope.OPERATE)
    site.ring.revoked.add(Scope.OPERATE)
    assert await site.here.principal(token) is None
    assert (await site.ask("GET", "/api/instances", token)).status == 401


async def test_another_key_under_the_same_id_ends_it(site: Site) -> None:
    token = await site.log_in()
    site.ring.mark = "another"
    assert await site.here.principal(token) is None


async def test_one_that_is_known_here_goes_on_while_the_store_is_out(valkey: str) -> None:
    ring, clock = Ring(), Clock()
    store = open_store(valkey, prefix="session-out")
    sessions = Sessions(store, ring, clock.now)
    principal = await ring.principal(KEYS[Scope.READ])
    assert principal
    token = await sessions.begin(principal)
    await store.wire.turn_to("unix:///nowhere/at/all")
    clock.passes(FRESH_FOR)
    assert await sessions.principal(token)
    clock.passes(IDLE_FOR)
    assert await sessions.principal(token) is None
    await store.close()


async def test_s1_the_store_holds_nothing_that_lets_in(site: Site) -> None:
    token = await site.log_in()
    for key in await site.api.store.wire.keys(site.api.store.keys.pattern):
        if b":session:" in key:
            stored = await site.api.store.wire.get(key.decode()) or b""
            assert token.encode() not in key + stored
            assert KEYS[Scope.ADMIN].encode() not in stored


def test_a_cookie_is_for_this_host_and_hidden_from_scripts() -> None:
    plain, over_tls = cookie("t", {}), cookie("t", {"origin": "https://gpus.example"})
    for each in (plain, over_tls):
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(each.split("; "))
        assert "Domain" not in each
    assert plain.startswith("novita-gpu=")
    assert over_tls.startswith("__Host-")
    assert "Secure" in over_tls.split("; ")


def test_what_is_no_token_is_not_looked_for() -> None:
    assert [borne({"novita-gpu": value}) for value in ("", "x", "é" * 43, "x" * 5000)] == [None] * 4
    assert borne({"novita-gpu": "a" * 43, "__Host-novita-gpu": "b" * 43}) == "b" * 43


def test_s3_only_pages_of_this_site_change_anything() -> None:
    here = {"host": "gpus.example", "x-csrf-token": change_token("t")}
    assert may_change("t", here | {"origin": "https://gpus.example"})
    assert not may_change("t", here | {"origin": "https://gpus.example.evil"})
    assert not may_change("t", {"host": "gpus.example", "x-csrf-token": "é"})
    assert from_here({})
