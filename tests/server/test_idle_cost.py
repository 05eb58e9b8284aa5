"""An idle replica asks little of its server. Twenty seconds of what `make bench` measures over minutes."""

import asyncio
from collections.abc import Callable

import pytest

from tests.server.idle_cost import MAY, settled

SECONDS, AFTER_S = 20.0, 8.0
# Of what it may ask. The rest is for what comes once a minute or more rarely, and not in these seconds.
STEADY = 0.8


@pytest.mark.timeout(180)
async def test_an_idle_replica_asks_no_more_than_its_profile_says(figure: Callable[[str], None]) -> None:
    costs = await asyncio.gather(*(settled(profile, SECONDS, AFTER_S) for profile in MAY))
    for (profile, most), cost in zip(MAY.items(), costs, strict=True):
        figure(cost.line(profile))
        assert 0 < cost.sent_a_second < cost.counted_a_second < most * STEADY
