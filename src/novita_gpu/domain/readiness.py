"""What is probed, how often, and when a machine counts as ready."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import EndpointHealth, PortMapping, Readiness, Record
from novita_gpu.domain.learn import Learned, Note

# Between two rounds of probes while it is awaited, and after it was given up.
BETWEEN_ROUNDS = timedelta(seconds=5)
SLOW_PROBING = timedelta(seconds=60)


def targets(record: Record) -> tuple[PortMapping, ...]:
    """The endpoints that must answer: the target port, else every http port. None: ready as soon as it runs."""
    connection = record.run.connection
    mapped = connection.ports if connection else ()
    port = record.health_check.target_port
    return tuple(p for p in mapped if (p.port == port if port else p.type == "http"))


def targets_are_known(record: Record) -> bool:
    """Every port that is to be probed has an address. The cloud may give them a little later than `running`."""
    known = {p.port for p in targets(record) if p.endpoint}
    port = record.health_check.target_port
    wanted = {port} if port else {p.port for p in record.spec.ports if p.type == "http"}
    return wanted <= known


def next_probe_at(record: Record) -> datetime:
    """The tries of one round follow each other after `retry_delay`; rounds after a longer pause."""
    readiness, check = record.run.readiness, record.health_check
    if readiness.checked_at is None:
        return record.run.running_at or record.updated_at
    if readiness.state == "failed":
        return readiness.checked_at + SLOW_PROBING
    round_over = readiness.tries % (check.retry_attempts + 1) == 0
    return readiness.checked_at + (max(check.retry_delay, BETWEEN_ROUNDS) if round_over else check.retry_delay)


def probed(record: Record, results: Sequence[EndpointHealth], at: datetime) -> Learned:
    """The record after a try. All healthy, or nothing to probe: ready. Over `max_wait`: readiness has failed."""
    before, run = record.run.readiness, record.run
    readiness = Readiness(state="probing", checked_at=at, tries=before.tries + 1, endpoints=tuple(results))
    if all(r.healthy for r in results):
        run = replace(run, readiness=replace(readiness, state="ready"), ready_at=at)
        told = _recovered(record, at)
        return Learned(record=replace(record, run=run, ready_at=at, reason=None, recovering=None), notes=told)
    if before.state != "failed" and (run.running_at is None or at < run.running_at + record.health_check.max_wait):
        return Learned(record=replace(record, run=replace(run, readiness=readiness)))
    failed = replace(record, run=replace(run, readiness=replace(readiness, state="failed")))
    if before.state == "failed":
        return Learned(record=failed)
    minutes = record.health_check.max_wait.total_seconds() / 60
    reason = f"no answer from every endpoint within {minutes:g} minutes"
    return Learned(record=replace(failed, reason=reason), notes=(Note(type=EventType.READINESS_FAILED, reason=reason),))


def _recovered(record: Record, at: datetime) -> tuple[Note, ...]:
    """A recovery is over when what it brought back answers. Its former machine is left over from here on."""
    recovering = record.recovering
    if recovering is None or recovering.begun_at is None:
        return ()
    lost_s = (at - recovering.lost_at).total_seconds()
    facts = {"secondsLost": f"{lost_s:.0f}", "by": recovering.by, "region": record.offer.region if record.offer else ""}
    return (Note(type=EventType.RECOVERED, reason=f"back after {lost_s:.0f} seconds by {recovering.by}", facts=facts),)
