"""Reading the GPU use of one run from the cloud's metrics."""

from datetime import datetime, timedelta

from novita_gpu.cloud.base import Cloud, CloudError, Metrics
from novita_gpu.domain.gpu import GpuReading, Point, unread, with_points
from novita_gpu.domain.instance import Record

# The longest window that is asked for, some 1,400 points a GPU. What was missed before it is a hole.
LONGEST_WINDOW = timedelta(hours=6)


async def measured(cloud: Cloud, record: Record, now: datetime) -> GpuReading:
    """What is known after one reading of what came since the last. One that fails tells why and takes nothing away."""
    run, machine = record.run, record.machine
    assert machine
    assert run.running_at
    known_to = run.gpu.quiet_to if run.gpu else None
    since = max(known_to or run.running_at, now - LONGEST_WINDOW)
    try:
        metrics = await cloud.metrics(machine.id, since, now)
    except CloudError as error:
        return unread(run.gpu, now, error.message)
    return with_points(run.gpu, points(metrics, run.running_at), now)


def points(metrics: Metrics, since: datetime) -> tuple[Point, ...]:
    """Both figures by their time. What is from before `since` is of another run."""
    busy = {sample.at: sample.percent for sample in metrics.gpu}
    memory = {sample.at: sample.percent for sample in metrics.gpu_memory}
    times = sorted({*busy, *memory})
    return tuple(Point(at=at, busy=busy.get(at), memory=memory.get(at)) for at in times if at >= since)
