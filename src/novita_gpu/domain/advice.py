"""What a person is told of a stop by an instance's own policy: what puts it off, and what it may cost."""

from novita_gpu.domain.idle import DISCARD_NOTICE, IdlePolicy, Rule, minutes
from novita_gpu.domain.instance import Record
from novita_gpu.domain.spec import Activity, AutoStop, Spec

# The cloud's pages disagree on the system disk and /workspace; on the rest they agree (documented).
_KEPT = "data of a stopped instance is kept 7 days at most, and its GPU may be gone at the next start"


def may_cost(spec: Spec) -> str:
    """What is not safe when it is stopped."""
    disk = "system disk and /workspace may be lost (the cloud's own pages disagree)"
    if not spec.network_storages:
        return f"It has no network volume: its {disk}; {_KEPT}."
    mounts = ", ".join(storage.mount_point for storage in spec.network_storages)
    return f"What is on its network volumes ({mounts}) stays; its {disk}; {_KEPT}."


def to_keep(record: Record, rule: Rule) -> tuple[str, ...]:
    """What would put that off."""
    if rule == "lifetime":
        return ("a longer autoStop.maxLifetimeMinutes, or null for none (PATCH)",)
    ways = {
        Activity.HEARTBEAT: ("a heartbeat (PUT …/last-used)",),
        Activity.GPU: ("use of its GPU",),
        Activity.ANY: ("a heartbeat (PUT …/last-used)", "use of its GPU"),
    }
    return (*ways[record.auto_stop.activity], "a pin (PATCH autoStop.pinnedUntil)", "autoStop.enabled=false (PATCH)")


def to_keep_stopped() -> tuple[str, ...]:
    """What would keep a stopped machine from being deleted."""
    hours = DISCARD_NOTICE.total_seconds() / 3600
    told = f"within the {hours:g} hours after the warning"
    return (f"a start, {told}", "a pin (PATCH autoStop.pinnedUntil)", "autoStop.enabled=false (PATCH)")


_SILENCE = {
    Activity.HEARTBEAT: "without a heartbeat (PUT …/last-used), whatever its GPU does",
    Activity.GPU: "without use of its GPU; while that is unknown it runs on",
    Activity.ANY: "with neither a heartbeat (PUT …/last-used) nor use of its GPU; while that is unknown it runs on",
}


def promise(policy: AutoStop, operator: IdlePolicy) -> str:
    """When an instance of that policy will be stopped, told at create."""
    if policy.enabled and operator.on:
        told = f"Once ready it is stopped after {minutes(policy.idle)} {_SILENCE[policy.activity]}."
    else:
        told = "It is not stopped for idleness; stop it when you are done."
    lifetime = policy.max_lifetime
    return f"{told} In any case it is stopped after {minutes(lifetime)} of running." if lifetime else told
