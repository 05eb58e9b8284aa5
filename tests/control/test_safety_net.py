"""The net under lost rings rings for what is overdue, and for nothing else."""

from datetime import timedelta

from msgspec.structs import replace

from novita_gpu.control.safety_net import SafetyNet
from novita_gpu.store import Store
from tests.api.served import Rung
from tests.store.samples import NOON, after, mark, new_delivery, new_event, row

RESTING = timedelta(minutes=1)


async def rung(store: Store, at: float) -> Rung:
    """What a check then rings for."""
    bell = Rung()
    await SafetyNet(store, bell, lambda: after(at)).check()
    return bell


async def test_a_listing_that_is_late_is_asked_for_and_no_other(store: Store) -> None:
    await store.looks.publish([row("m1", "dep/x/1")], replace(mark(), next_at=NOON + RESTING))
    assert (await rung(store, 59)).looks == []
    assert len((await rung(store, 60)).looks) == 1


async def test_the_first_listing_of_all_is_asked_for(store: Store) -> None:
    assert len((await rung(store, 0)).looks) == 1


async def test_the_outbox_is_rung_for_once_a_delivery_is_overdue(store: Store) -> None:
    event = await store.events.append(new_event())
    await store.deliveries.add(replace(new_delivery(event), due=after(10), sequence=event.sequence))
    assert (await rung(store, 9)).outboxes == 0
    assert (await rung(store, 10)).outboxes == 1
