"""What must hold at each step, looked at from outside: the stored records beside the cloud's own machines."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from novita_gpu.cloud import simulator as sim
from novita_gpu.cloud.simulator.money import BILLED
from novita_gpu.domain.instance import InstanceId, Record, Status, status
from novita_gpu.domain.money import compute_rate

# Of a machine whose removal was accepted.
GOING = frozenset({"toRemove", "removing", "removed"})
S = Status
# Where a status may go. `failed` and `stopped` are left by a start or a delete only, `deleted` never.
MOVES: dict[Status | None, frozenset[Status]] = {
    None: frozenset({S.CREATING}),
    S.MIGRATING: frozenset({S.READY, S.STOPPING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED}),
    S.CREATING: frozenset({S.RUNNING, S.MIGRATING, S.STOPPING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED}),
    S.STARTING: frozenset({S.RUNNING, S.MIGRATING, S.STOPPING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED}),
    S.RUNNING: frozenset({S.MIGRATING, S.READY, S.STARTING, S.STOPPING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED}),
    S.READY: frozenset({S.MIGRATING, S.STARTING, S.STOPPING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED}),
    S.STOPPING: frozenset({S.STOPPED, S.MIGRATING, S.FAILED, S.STARTING, S.CREATING, S.DELETING, S.DELETED}),
    S.STOPPED: frozenset({S.STARTING, S.MIGRATING, S.CREATING, S.STOPPING, S.DELETING, S.DELETED}),
    S.FAILED: frozenset({S.STARTING, S.MIGRATING, S.CREATING, S.STOPPING, S.DELETING, S.DELETED}),
    S.DELETING: frozenset({S.DELETED}),
    S.DELETED: frozenset(),
}


@dataclass
class Watch:
    """`twins`: two machines of one instance at once are no fault of ours in this schedule. `most`: the rate that all
    machines together may bill.
    """

    simulator: sim.Simulator
    load: Callable[[InstanceId], Awaitable[Record | None]]
    twins: bool
    most: int | None = None
    at_once: int = 1  # a replacement is made before its former machine goes
    parted: bool = False  # a meeting brings many moves at once
    away: set[str] = field(default_factory=set[str])  # markers whose intents are in private stores
    faults: list[str] = field(default_factory=list[str])
    records: dict[InstanceId, Record] = field(default_factory=dict[InstanceId, Record])
    statuses: dict[InstanceId, list[Status]] = field(default_factory=dict[InstanceId, list[Status]])
    _created: int = 0

    async def written(self, instance: str) -> None:
        """A commit has taken effect."""
        record = await self.load(InstanceId(instance))
        if record is None:
            self.faults.append(f"{instance} was committed and is not there")
            return
        before = self.records.get(record.id)
        if before and record.revision == before.revision:
            return  # the same commit, sent again
        self._moved(before, record)
        self.records[record.id] = record

    def written_away(self, record: Record) -> None:
        """A commit has taken effect in a private store."""
        self.away |= {attempt.marker for attempt in record.attempts}

    def _moved(self, before: Record | None, after: Record) -> None:
        was, now = status(before) if before else None, status(after)
        if not self.parted and after.revision != (before.revision if before else 0) + 1:
            self.faults.append(f"{after.id} went from revision {before and before.revision} to {after.revision}")
        if was is not now:
            self.statuses.setdefault(after.id, []).append(now)
            if not self.parted and now not in MOVES[was]:
                self.faults.append(f"{after.name} went from {was} to {now}")
        if before and {a.number for a in before.attempts} - {a.number for a in after.attempts}:
            self.faults.append(f"{after.name} forgot an attempt")
        if now in {S.DELETED, S.FAILED} and after.open_attempt:
            self.faults.append(f"{after.name} is {now} with a create unanswered")
        if now is S.DELETED and before and before.machine and not self.twins:
            self._check_gone(after.name, before.machine.id)

    def _check_gone(self, name: str, machine: str) -> None:
        alive = self.simulator.core.machines.get(machine)
        if alive and alive.status not in GOING:
            self.faults.append(f"{name} is deleted and its machine {machine} is {alive.status}")

    def step(self) -> None:
        """After each operation."""
        machines = self.simulator.core.machines
        ever = len(machines) + len(self.simulator.core.gone)
        if ever != self._created:
            self._created = ever
            self._check_intents()
        if self.most is not None:
            self._check_burn(self.most)
        if not self.twins:
            most = max(self.simulator.core.census.alive_at_once.values(), default=0)
            if most > self.at_once and not any("at once" in fault for fault in self.faults):
                self.faults.append(f"{most} machines of one instance at once")

    def _check_burn(self, most: int) -> None:
        """Two callers, two replicas or a caller and a pass have not overspent together."""
        machines = [m for m in self.simulator.core.machines.values() if m.status in BILLED]
        rate = sum(compute_rate(m.product.price * m.order.gpu_num) for m in machines)
        if rate > most and not any("overspent" in fault for fault in self.faults):
            self.faults.append(f"overspent: {len(machines)} machines bill {rate}, more than {most}")

    def _check_intents(self) -> None:
        """Every machine that was bought had its intent stored before."""
        known = {attempt.marker for record in self.records.values() for attempt in record.attempts} | self.away
        for machine in self.simulator.core.everything():
            if machine.marker and machine.marker not in known:
                self.faults.append(f"{machine.id} was bought without a stored intent: {machine.marker}")

    def unknown(self) -> list[str]:
        """Living machines of ours that no record has."""
        ours = {record.machine.id for record in self.records.values() if record.machine}
        machines = self.simulator.core.machines.values()
        return [machine.id for machine in machines if machine.id not in ours and machine.status not in GOING]
