"""One Idempotency-Key, one effect."""

import asyncio

import pytest
from msgspec.structs import replace

from novita_gpu.store import Store
from novita_gpu.store.base import Answer, Claim

OURS = Claim(key="admin POST /api/instances key-1", fingerprint="body-1", token="ours")
THEIRS = replace(OURS, token="theirs")
ANSWER = Answer(status=201, body=b'{"instanceId":"ins_1"}')


async def outcome(store: Store, claim: Claim) -> str:
    return (await store.claims.claim(claim)).outcome


async def test_the_first_has_it_and_the_second_waits(store: Store) -> None:
    assert await outcome(store, OURS) == "ours"
    assert await outcome(store, THEIRS) == "busy"


async def test_a_claim_repeated_after_a_lost_answer_is_ours(store: Store) -> None:
    assert [await outcome(store, OURS) for _ in range(2)] == ["ours", "ours"]


async def test_another_body_is_told_so_before_and_after_the_answer(store: Store) -> None:
    await store.claims.claim(OURS)
    other = replace(THEIRS, fingerprint="body-2")
    assert await outcome(store, other) == "reused"
    await store.claims.keep(OURS, ANSWER)
    assert await outcome(store, other) == "reused"


async def test_the_answer_is_given_again_to_whoever_asks(store: Store) -> None:
    await store.claims.claim(OURS)
    assert await store.claims.keep(OURS, ANSWER)
    for claim in (OURS, THEIRS):
        again = await store.claims.claim(claim)
        assert (again.outcome, again.answer) == ("answered", ANSWER)


async def test_a_released_key_may_be_tried_again(store: Store) -> None:
    await store.claims.claim(OURS)
    await store.claims.release(THEIRS)
    assert await outcome(store, THEIRS) == "busy"
    await store.claims.release(OURS)
    assert await outcome(store, THEIRS) == "ours"


async def test_an_answer_is_not_released(store: Store) -> None:
    await store.claims.claim(OURS)
    await store.claims.keep(OURS, ANSWER)
    await store.claims.release(OURS)
    assert await outcome(store, THEIRS) == "answered"


async def test_an_answer_after_the_mark_ended_is_kept_unless_another_has_the_key(store: Store) -> None:
    assert await store.claims.keep(OURS, ANSWER)
    assert await outcome(store, THEIRS) == "answered"
    other = replace(OURS, key="key-2")
    await store.claims.claim(replace(other, token="theirs"))
    assert not await store.claims.keep(other, ANSWER)


@pytest.mark.parametrize(("kept", "longest_s"), [(False, 30), (True, 24 * 3600)])
async def test_a_mark_ends_after_30_s_and_an_answer_after_24_h(store: Store, *, kept: bool, longest_s: int) -> None:
    await store.claims.claim(OURS)
    if kept:
        await store.claims.keep(OURS, ANSWER)
    ends_in = await store.wire.ttl_ms(store.keys.claim(OURS.key)) / 1000
    assert longest_s - 10 < ends_in <= longest_s


async def test_n4_of_many_at_once_one_has_it(store: Store) -> None:
    claims = [replace(OURS, token=f"token-{number}") for number in range(20)]
    outcomes = await asyncio.gather(*(outcome(store, claim) for claim in claims))
    assert outcomes.count("ours") == 1
    assert outcomes.count("busy") == 19
