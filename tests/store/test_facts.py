"""Small facts about the whole."""

import asyncio
from datetime import timedelta

from novita_gpu.store import Store
from novita_gpu.store.facts import Facts
from tests.store.samples import after

MINUTE = timedelta(minutes=1)


async def test_the_first_to_say_it_is_believed(store: Store) -> None:
    said = await asyncio.gather(*(store.facts.first("deployment", f"d{number}") for number in range(10)))
    assert len(set(said)) == 1
    assert await store.facts.fact("deployment") == said[0]


async def test_a_fact_is_replaced_and_forgotten(store: Store) -> None:
    assert await store.facts.fact("held") is None
    await store.facts.put("held", "no money")
    await store.facts.put("held", "", ttl=MINUTE)
    assert await store.facts.fact("held") == ""
    assert 0 < await store.wire.ttl_ms(store.keys.fact("held")) <= 60_000
    await store.facts.forget("held")
    assert await store.facts.fact("held") is None


async def empty(store: Store, key: str, at: float) -> float:
    """Met as empty then; for how long it is remembered from then on, in minutes."""
    await store.facts.remember_empty(key, after(at), first=3 * MINUTE, longest=10 * MINUTE, forgiven=30 * MINUTE)
    return ((await store.facts.empties(after(at)))[key] - after(at)) / MINUTE


async def test_an_empty_offer_is_remembered_until_its_end(store: Store) -> None:
    await empty(store, "4090 eu-1", 0)
    await empty(store, "h100 as-1", 60)
    assert await store.facts.empties(after(170)) == {"4090 eu-1": after(180), "h100 as-1": after(240)}
    assert set(await store.facts.empties(after(180))) == {"h100 as-1"}
    await store.facts.forget_empty("h100 as-1")
    assert await store.facts.empties(after(180)) == {}


async def test_what_is_empty_again_and_again_is_remembered_for_longer(store: Store) -> None:
    assert [await empty(store, "4090", at) for at in (0, 180, 600, 1300)] == [3, 6, 10, 10]


async def test_many_who_meet_it_at_the_same_moment_count_once(store: Store) -> None:
    assert [await empty(store, "4090", at) for at in (0, 0, 1, 5)] == [3, 3, 3, 3]
    assert await empty(store, "4090", 200) == 6


async def test_repeats_are_forgiven_with_time(store: Store) -> None:
    assert [await empty(store, "4090", at) for at in (0, 180, 600)] == [3, 6, 10]
    calm = 600 + 10 * 60 + 61 * 60  # an hour and a minute after its end two repeats are forgiven
    assert await empty(store, "4090", calm) == 6
    assert await empty(store, "4090", calm + 3 * 24 * 3600) == 3


async def test_a_lock_has_one_owner_until_it_is_given_back(store: Store) -> None:
    async with store.facts.lock("sync", "one", MINUTE) as held:
        async with store.facts.lock("sync", "other", MINUTE) as also:
            assert (held, also) == (True, False)
        async with store.facts.lock("other", "other", MINUTE) as elsewhere:
            assert elsewhere
    async with store.facts.lock("sync", "other", MINUTE) as later:
        assert later


async def test_a_lock_that_ended_is_not_taken_from_its_next_owner(store: Store) -> None:
    async with store.facts.lock("sync", "one", MINUTE):
        await store.wire.put(store.keys.lock("sync"), "other", 60_000)
    assert await store.wire.get(store.keys.lock("sync")) == b"other"


async def test_no_lock_outlives_an_hour(store: Store) -> None:
    async with store.facts.lock("sync", "one", timedelta(days=9)):
        assert 0 < await store.wire.ttl_ms(store.keys.lock("sync")) <= 3_600_000


async def test_of_a_ration_each_has_its_place_until_the_span_is_over(store: Store) -> None:
    async def asks(member: str, seconds: float) -> bool:
        return await store.facts.ration("removals", member, at_most=2, within=MINUTE, now=after(seconds))

    assert [await asks(member, 0) for member in ("a", "b", "c")] == [True, True, False]
    assert [await asks(member, 30) for member in ("a", "c")] == [True, False]
    assert await store.facts.rationed("removals", within=MINUTE, now=after(30)) == ["a", "b"]
    assert [await asks(member, 60) for member in ("c", "d", "a")] == [True, True, False]


async def test_a_ration_holds_for_all_who_ask_at_once(store: Store) -> None:
    asked = (
        store.facts.ration("removals", f"m{number}", at_most=3, within=MINUTE, now=after(0)) for number in range(20)
    )
    assert sum(await asyncio.gather(*asked)) == 3


class Pauses:
    """Pauses that are over when a test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.over, self.begun = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.begun.release()
        await self.over.acquire()

    async def one_more(self) -> None:
        """What was waited for is done, and the next pause has begun."""
        self.over.release()
        await self.begun.acquire()


async def test_a_lock_is_renewed_until_it_is_given_back(store: Store) -> None:
    pauses = Pauses()
    facts, key = Facts(store.wire, store.keys, pauses), store.keys.lock("sync")
    async with facts.lock("sync", "one", MINUTE):
        await store.wire.put(key, "one", 1000)  # its time is nearly over
        for _ in range(2):
            await pauses.one_more()
        assert await store.wire.ttl_ms(key) > 1000
        assert await store.facts.holder("sync") == "one"
    assert await store.facts.holder("sync") is None
    assert set(pauses.asked) == {20.0}


async def test_a_lock_that_another_has_by_now_is_not_renewed(store: Store) -> None:
    pauses = Pauses()
    async with Facts(store.wire, store.keys, pauses).lock("sync", "one", MINUTE):
        async with store.facts.lock("sync", "other", MINUTE) as held:
            assert not held
        assert await store.facts.holder("sync") == "one", "who did not get it gives nothing back"
        await store.wire.put(store.keys.lock("sync"), "other", 1000)
        pauses.over.release()
        await store.ping()
        assert await store.wire.ttl_ms(store.keys.lock("sync")) <= 1000
    assert await store.facts.holder("sync") == "other"
