"""What each profile promises of waiting, on a real server and on real time."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median

import pytest

from novita_gpu.domain.instance import InstanceId
from novita_gpu.store.pace import HOSTED, LOCAL, Pace
from novita_gpu.work import Work
from tests.work.adapters import Passes, dies_in, registered, utc_now

ONE = InstanceId("ins_1")
RINGS = 20
WAKES_WITHIN_S = 0.05
# Of an alarm, and of the work of a process that was killed.
LATE = {"local": timedelta(seconds=1.5), "hosted": timedelta(seconds=6)}
BACK = {"local": timedelta(seconds=15), "hosted": timedelta(seconds=60)}

profiles = pytest.mark.parametrize(("profile", "pace"), [("local", LOCAL), ("hosted", HOSTED)])


@asynccontextmanager
async def working(url: str, name: str, pace: Pace) -> AsyncGenerator[tuple[Work, Passes]]:
    passes = Passes(utc_now)
    work = Work(url, name, moving=timedelta(seconds=2), pace=pace)
    registered(work, passes.reconcile, passes)
    async with work.open(), work.running():
        yield work, passes


@profiles
async def test_a_ring_wakes_an_idle_worker_at_once(
    valkey_url: str, prefix: str, profile: str, pace: Pace, figure: Callable[[str], None]
) -> None:
    """No interval of the profile is waited for."""
    took: list[float] = []
    async with working(valkey_url, prefix, pace) as (work, passes):
        for number in range(RINGS):
            instance, begun = InstanceId(f"ins_{number}"), time.monotonic()
            await work.ring(instance)
            await passes.really_until(lambda one=instance: passes.count(one) == 1)
            took.append(time.monotonic() - begun)
    _, *idle = took  # the first finds a worker that is only starting
    figure(f"{profile}: a ring was answered after {median(idle) * 1000:.1f} ms, the slowest {max(idle) * 1000:.0f} ms")
    assert median(idle) < WAKES_WITHIN_S


@profiles
async def test_an_alarm_is_no_later_than_the_profile_says(
    valkey_url: str, prefix: str, profile: str, pace: Pace
) -> None:
    """Three of them, so that one falls early and one late between two looks for what is due."""
    async with working(valkey_url, prefix, pace) as (work, passes):
        begun = utc_now()
        at = {InstanceId(f"ins_{n}"): begun + (n + 1) / 3 * pace.schedule for n in range(3)}
        for instance, when in at.items():
            await work.alarm(instance, when)
        await passes.really_until(lambda: len(passes.begun) == len(at))
    late = {instance: passes.begun[instance][0] - when for instance, when in at.items()}
    assert all(timedelta(0) <= one <= LATE[profile] for one in late.values()), late


@profiles
def test_the_work_of_a_killed_process_is_back_in_time(profile: str, pace: Pace) -> None:
    assert pace.back_within <= BACK[profile]


@pytest.mark.timeout(90)
async def test_the_work_of_a_process_that_was_killed_is_done_by_the_next(
    valkey_url: str, prefix: str, figure: Callable[[str], None]
) -> None:
    """At the pace of every day."""
    await dies_in("reconcile", valkey_url, prefix, ONE, LOCAL.abandoned)
    died = utc_now()
    async with working(valkey_url, prefix, LOCAL) as (_, passes):
        async with asyncio.timeout(60):
            while not passes.begun:  # noqa: ASYNC110 - it may take longer than tests wait elsewhere
                await asyncio.sleep(0.05)
        took = passes.begun[ONE][0] - died
    figure(f"the pass of a killed worker was back after {took.total_seconds():.1f} s")
    assert took <= LOCAL.back_within
