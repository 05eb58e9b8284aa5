"""Turns of many: spread over time, each instance at moments of its own."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from zlib import crc32

from novita_gpu.domain.instance import InstanceId

# Passes a second. More, and callers wait while they are made; fewer, and what is due waits for longer.
A_SECOND = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def turns(instances: Collection[InstanceId], now: datetime) -> dict[InstanceId, datetime]:
    """When each has its next turn. Asked for again it is the same, so nobody is put off again and again.

    The span is a power of two of seconds: a turn in a longer one is a turn in each shorter one too.
    """
    span_ms = 1000
    while span_ms * A_SECOND < len(instances) * 1000:
        span_ms *= 2
    now_ms = -((EPOCH - now) // MILLISECOND)  # rounded up
    return {one: EPOCH + (now_ms + (crc32(one.encode()) - now_ms) % span_ms) * MILLISECOND for one in instances}
