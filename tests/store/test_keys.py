"""Every key has its TTL, or a reason why it has none; and a store touches no key but its own."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from novita_gpu.domain.api_key import Owner
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import CloudId, InstanceId
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Answer, Claim
from novita_gpu.store.feed import INCARNATION
from novita_gpu.store.keys import LIFETIMES, Keys
from tests.store.samples import (
    NOON,
    after,
    closing,
    creation,
    machine,
    mark,
    new_api_key,
    new_delivery,
    new_endpoint,
    new_event,
    new_record,
    row,
)
from tests.valkey import forget, new_prefix

MINUTE = timedelta(minutes=1)
# Kinds that have an end only once what they belong to is over.
ENDING = {"record", "activity", "timeline", "machine", "delivery"}


async def fill(store: Store) -> None:
    """Uses every room once, for something that lives."""
    record = new_record(machine=machine("m1"), owner=Owner(key="key_1", name="ci"))
    event = new_event(record, EventType.CREATING)
    claim = Claim(key="key", fingerprint="body", token="ours")
    await store.claims.claim(claim)
    await store.records.commit(
        creation(
            record,
            events=(event,),
            deliveries=(new_delivery(event),),
            claim=claim,
            answer=Answer(status=201, body=b"{}"),
        )
    )
    await store.records.touch(record.id, after(1))
    await store.events.append(new_event())
    (delivery,) = await store.deliveries.first_of({"receiver.example": 1}, NOON)
    await store.deliveries.save(delivery, rest=after(5))
    await store.endpoints.add(new_endpoint())
    key = new_api_key()
    await store.api_keys.add(key, new_event(kind=EventType.KEY_CREATED))
    store.api_keys.used(key.id, NOON)
    await store.api_keys.store_uses()
    await store.windows.add(key.id, 60)
    await store.sessions.begin("hash", b"{}", MINUTE)
    await store.facts.first(INCARNATION, "x")
    await store.facts.remember_empty("4090 eu-1", NOON, first=MINUTE, longest=MINUTE, forgiven=MINUTE)
    await store.facts.ration("removals", "m1", at_most=1, within=MINUTE, now=NOON)
    await store.looks.publish([row("m1", "dep/x/1")], mark())


async def close_all(store: Store) -> None:
    """Ends everything that can end."""
    for record in await store.records.load_many(await store.records.living()):
        await store.records.commit(closing(record))
    for delivery in (await store.deliveries.newest())[0]:
        await store.deliveries.save(replace(delivery, state="delivered"))


async def ttls(store: Store) -> dict[str, list[int]]:
    """Milliseconds that keys have left, by kind; -1 has no end."""
    found: dict[str, list[int]] = {}
    for key in await store.wire.keys(store.keys.pattern):
        found.setdefault(store.keys.kind_of(key.decode()), []).append(await store.wire.ttl_ms(key.decode()))
    return found


async def test_t1_what_lives_has_no_ttl_and_all_else_has_the_one_that_is_listed(store: Store) -> None:
    await fill(store)
    async with store.facts.lock("sync", "one", timedelta(minutes=1)):
        for kind, left in (await ttls(store)).items():
            lifetime = LIFETIMES[kind]
            for ms in left:
                if lifetime.ttl and lifetime.from_start:
                    assert 0 < ms <= lifetime.ttl.total_seconds() * 1000, kind
                else:
                    assert ms == -1, kind


async def test_what_is_over_ends_after_the_time_that_is_listed(store: Store) -> None:
    await fill(store)
    await close_all(store)
    found = await ttls(store)
    for kind in ENDING:
        ttl = LIFETIMES[kind].ttl
        assert ttl and all(ttl.total_seconds() * 990 < ms <= ttl.total_seconds() * 1000 for ms in found[kind]), kind
    assert found["closed-name"][0] > 0
    assert "name" not in found
    assert "living" not in found
    assert "queue" not in found
    assert "receivers" not in found


async def test_every_kind_of_key_is_listed_and_used(store: Store) -> None:
    await fill(store)
    async with store.facts.lock("sync", "one", timedelta(minutes=1)):
        used = set(await ttls(store))
    await close_all(store)
    assert used | set(await ttls(store)) | {"trial"} == set(LIFETIMES)  # that one is gone once the server was tried


def test_all_keys_share_one_hash_tag_and_none_is_another() -> None:
    keys = Keys("novita-gpu")
    made = [
        *(of(InstanceId("i")) for of in (keys.record, keys.activity, keys.timeline)),
        *(
            of("i")
            for of in (keys.name, keys.closed_name, keys.type, keys.appended, keys.delivery, keys.claim, keys.queue)
        ),
        *(
            keys.session("i"),
            keys.fact("i"),
            keys.lock("i"),
            keys.machine(CloudId("i")),
            keys.living(),
            keys.closed(),
            keys.sequence(),
        ),
        *(keys.events(), keys.feed(), keys.feed_number(), keys.deliveries(), keys.delivery_number()),
        *(keys.api_keys(), keys.api_keys_used(), keys.owned("i"), keys.window("i")),
        *(keys.receivers(), keys.rests(), keys.endpoints(), keys.endpoint("i")),
        *(
            keys.empties(),
            keys.empty_times(),
            keys.reserved(),
            keys.ration("i"),
            keys.counts(),
            keys.rows(),
            keys.markers(),
            keys.mark(),
            keys.trial("i"),
        ),
    ]
    assert all(key.startswith("{novita-gpu}:") for key in made)
    assert len(set(made)) == len(made)
    assert {keys.kind_of(key) for key in made} == set(LIFETIMES)


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b", "a*", "a b", "[ab]", "a?", "a\\"])
def test_a_prefix_that_would_match_others_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Keys(prefix)


async def test_s8_a_store_touches_no_key_but_its_own(valkey_url: str, store: Store) -> None:
    await fill(store)
    before = sorted(await store.wire.keys(store.keys.pattern))
    async with open_store(valkey_url, prefix=new_prefix()) as other:
        await fill(other)
        await close_all(other)
        await other.trim(NOON + timedelta(days=400))
        every = await other.wire.keys("*")
        assert {key.split(b":")[0] for key in every} >= {f"{{{other.keys.prefix}}}".encode()}
        await forget(other)
    assert sorted(await store.wire.keys(store.keys.pattern)) == before
    assert len(await store.events.read()) == 3
