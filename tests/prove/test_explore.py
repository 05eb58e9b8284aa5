"""The part of the search that every run makes: all single cuts, some bad answers, some schedules by chance, and what
once broke a promise.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.prove.rig import Rig
from tests.prove.run import Share
from tests.prove.scenes import SCENES, hurried, patched_at
from tests.prove.schedule import read
from tests.prove.search import LIVES

KEPT = {path.stem: read(path.read_bytes()) for path in (Path(__file__).parent / "regressions").glob("*.json")}
# Each takes its turn, so that cores share the work.
TURNS = 4
SEEDS = range(240)
# One in so many of the bad answers, and of the cuts and bad answers around a parting. `make prove` takes more.
SPOILED, PARTED = 3, 41


@pytest.mark.parametrize("turn", range(TURNS))
async def test_every_single_cut_and_some_bad_answers(rig: Rig, turn: int, figure: Callable[[str], None]) -> None:
    share = Share(rig, turn, TURNS)
    await share.singles(step=SPOILED)
    assert share.tally.broken == []
    assert share.tally.missed == 0
    figure(f"{share.tally.schedules} single cuts and bad answers of {len(share.tally.all_cuts)} operations")


@pytest.mark.parametrize("turn", range(TURNS))
async def test_a_replica_that_loses_its_store_and_meets_again(
    rig: Rig, turn: int, figure: Callable[[str], None]
) -> None:
    share = Share(rig, turn, TURNS)
    await share.parted(PARTED)
    assert share.tally.broken == []
    figure(f"{share.tally.schedules} cuts and bad answers around a parting")


@pytest.mark.parametrize("turn", range(TURNS))
async def test_schedules_by_chance(rig: Rig, turn: int) -> None:
    share = Share(rig, turn, TURNS)
    await share.by_chance(SEEDS)
    assert share.tally.broken == []


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("replicas", [1, 2])
async def test_scenes(rig: Rig, scene: str, replicas: int) -> None:
    assert (await rig.run(replace(SCENES[scene], replicas=replicas))).faults == []


async def test_hurried_wishes_and_changes_of_policy(rig: Rig) -> None:
    for schedule in (*(hurried(order) for order in range(20)), *(patched_at(1 + n / 50) for n in range(30))):
        assert (await rig.run(schedule)).faults == [], schedule


@pytest.mark.parametrize("kept", sorted(KEPT))
async def test_what_once_broke_a_promise(rig: Rig, kept: str) -> None:
    assert (await rig.run(KEPT[kept])).faults == []


async def test_a_schedule_always_runs_the_same(rig: Rig) -> None:
    for schedule in (LIVES["delete"], replace(LIVES["restart"], replicas=2, order=7)):
        first, second = [await rig.run(schedule, traced=True) for _ in range(2)]
        assert first.trace == second.trace
