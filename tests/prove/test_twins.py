"""A machine that comes when nobody waits for it any more."""

from itertools import count

import pytest
from msgspec.structs import replace

from tests.prove.explore import TIMING, Exploration
from tests.prove.rig import Rig
from tests.prove.scenes import SCENES

SOME = count(1)


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_twin_is_deleted_within_two_listings_of_its_being_visible(rig: Rig, replicas: int) -> None:
    scene = replace(SCENES["a create whose effect comes long after it was given up"], replicas=replicas)
    rig.server.ask("FLUSHALL")
    exploration = Exploration(rig.server, f"twin{next(SOME)}", scene)
    assert (await exploration.run()).faults == []
    first, twin = sorted(exploration.simulator.core.everything(), key=lambda machine: machine.created_at)
    calls = exploration.simulator.calls.calls
    (deleted,) = [call.at for call in calls if call.op == "delete" and call.body["instanceId"] == twin.id]
    shown = [call for call in calls if call.op == "list" and twin.created_at + TIMING.list_lag_s <= call.at <= deleted]
    assert 1 <= len(shown) <= 2
    assert (first.status, twin.removed_at > 0) == ("running", True)
