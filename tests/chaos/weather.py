"""What goes wrong around the service: one call in twenty to the cloud, its listing, and whole processes."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from tests.chaos.processes import Cloud, Kept

FAULTY = 0.05
# Weighted. What has no answer is over, effect included, before anybody stops waiting for it.
TROUBLES: Sequence[tuple[int, dict[str, Any]]] = (
    (5, {"kind": "500", "when": "before"}),
    (5, {"kind": "500", "when": "after"}),
    (4, {"kind": "cut", "when": "before"}),
    (4, {"kind": "cut", "when": "after"}),
    (3, {"kind": "429", "retryAfter": 1}),
    (2, {"kind": "503", "when": "before"}),
    (2, {"kind": "html", "when": "after"}),
    (2, {"kind": "slow", "when": "before", "seconds": 2}),
    (2, {"kind": "slow", "when": "after", "seconds": 2}),
    (1, {"kind": "late", "seconds": 4}),
)
BATCH = 20
LOOK_AGAIN_S = 0.2
BETWEEN_STALE_S, STALE_S = (6.0, 14.0), (1.0, 4.0)
BETWEEN_KILLS_S = (2.0, 7.0)
# Dealt like cards, so that a short storm has some of each.
VICTIMS = (
    ("api",),
    ("worker-1",),
    ("worker-2",),
    ("worker-1", "worker-2"),
    ("api",),
    ("store",),
    ("worker-1",),
    ("api", "worker-1", "worker-2"),
)


async def trouble(cloud: Cloud, rng: Random) -> None:
    """For ever: whenever the faults that were laid are used up, the next ones."""
    while True:
        left = (await cloud.do("faults"))["waiting"]
        if left == 0:
            await cloud.do("faults", *batch(rng))
        await asyncio.sleep(LOOK_AGAIN_S)


def batch(rng: Random) -> Iterator[dict[str, Any]]:
    """Faults at random distances, on average as far apart as `FAULTY` says. Each lets the calls before it pass."""
    place = 0
    for _ in range(BATCH):
        place += round(rng.expovariate(FAULTY))
        (what,) = rng.choices([fault for _, fault in TROUBLES], [weight for weight, _ in TROUBLES])
        yield {**what, "skip": place}


async def stale_listings(cloud: Cloud, rng: Random) -> None:
    """For ever: now and then the listing stands still for some seconds."""
    while True:
        await asyncio.sleep(rng.uniform(*BETWEEN_STALE_S))
        await cloud.do("listing", staleSeconds=rng.uniform(*STALE_S))


async def kills(programs: Mapping[str, Kept], rng: Random) -> None:
    """For ever: now and then a process or several at once, wherever they stand."""
    while True:
        for victims in rng.sample(VICTIMS, len(VICTIMS)):
            await asyncio.sleep(rng.uniform(*BETWEEN_KILLS_S))
            for name in victims:
                programs[name].kill()
