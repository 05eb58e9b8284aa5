"""The simulated cloud itself: its state is a function of what was done and of `now`. No I/O, no clock, no asyncio.

Every call takes `now`, unix seconds. What time alone brings about waits in one agenda and happens, in its order and at
its own instant, before the call is looked at.
"""

from collections.abc import Sequence
from random import Random

from novita_gpu.cloud.simulator.admission import check_limits, check_order, places_for
from novita_gpu.cloud.simulator.agenda import Agenda, Due
from novita_gpu.cloud.simulator.catalogue import DEFAULT_CATALOGUE, Catalogue
from novita_gpu.cloud.simulator.doors import ALPHABET, Addresses, Doors, NovitaAddresses, Reply
from novita_gpu.cloud.simulator.jobs import MIGRATIONS, Job
from novita_gpu.cloud.simulator.machines import CONNECTED, Machine, Stay, Usage
from novita_gpu.cloud.simulator.money import MONTH_S, Census, Purse
from novita_gpu.cloud.simulator.orders import Edit, Order, Upgrade, check_ports
from novita_gpu.cloud.simulator.refusals import Refused, invalid, out_of_money
from novita_gpu.cloud.simulator.settings import SimulatorSettings, Timing
from novita_gpu.cloud.simulator.shelf import Shelf
from novita_gpu.cloud.simulator.stock import Stock


class Cloud:
    """Instances, stock, jobs, spot notices and money of one account."""

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        now: float,
        rng: Random,
        addresses: Addresses | None = None,
        catalogue: Catalogue = DEFAULT_CATALOGUE,
    ) -> None:
        self.timing = settings.timing
        self.quirks = settings.quirks
        self.now = now
        self.machines: dict[str, Machine] = {}
        self.gone: dict[str, Machine] = {}
        self.jobs: dict[str, Job] = {}
        self.shelf = Shelf(catalogue, rng)
        self.stock = Stock(catalogue.products, settings.stock_gpus)
        self.purse = Purse(settings.balance_usd)
        self.census = Census()
        self.sticky_creates: list[str] = []
        self.failing_jobs = 0
        self.usual: list[Usage] = []
        self._rng = rng
        self.doors = Doors(addresses or NovitaAddresses(rng), rng, settings.timing)
        self._agenda = Agenda()
        self._stale: tuple[float, tuple[Machine, ...]] = (0.0, ())

    def retime(self, timing: Timing) -> None:
        """Take other delays from here on; what is under way keeps its own."""
        self.timing = self.doors.timing = timing

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`, each thing at its own instant."""
        while due := self._agenda.pop(now):
            self.now = max(self.now, due.at)
            self._happen(due)
        self.now = max(self.now, now)

    def next_at(self) -> float | None:
        """When something happens next by itself."""
        return self._agenda.next_at()

    def create(self, order: Order, now: float) -> Machine:
        """A new machine in `toCreate`, its GPUs taken; `Refused` leaves nothing behind."""
        self.advance(now)
        product = self.shelf.product(order.product_id)
        places = places_for(order, product, self.shelf)
        check_order(order, product, self.shelf)
        self._check_money()
        check_limits(order.gpu_num, self.machines.values(), self.quirks)
        cluster_id = self.stock.place(product, places, order.gpu_num, order.billing)
        machine = Machine(self._new_id(), order, product, self.shelf.cluster(cluster_id), now)
        machine.usage = list(self.usual)
        if order.billing == "monthly":
            self._prepay(machine)
        if self.sticky_creates:
            machine.stuck_in = self.sticky_creates.pop(0)
        self.machines[machine.id] = machine
        self._take(machine)
        self._begin(
            machine,
            Stay("toCreate", self.timing.to_create_s),
            Stay("creating", self.timing.creating_s),
            Stay("pulling", self.timing.pulling_s),
            Stay("running"),
        )
        return machine

    def start(self, instance_id: str, now: float) -> Machine:
        """Start an exited machine; `Refused` in another status, without money, or where its GPUs were taken."""
        machine = self._in(instance_id, now, "exited")
        if machine.reclaim_at and self.quirks.reclaimed_start == "refused":
            raise Refused("INSUFFICIENT_RESOURCE", "insufficient resource")
        self._check_money()
        self._take(machine)
        machine.error_state = machine.error_message = ""
        self._spot(machine, "running" if machine.order.billing == "spot" else "", 0.0)
        pulling = self.timing.start_pulling_s
        steps = [Stay("toStart", self.timing.to_start_s), Stay("starting", self.timing.starting_s)]
        self._begin(machine, *steps, *([Stay("pulling", pulling)] if pulling else []), Stay("running"))
        return machine

    def stop(self, instance_id: str, now: float) -> Machine:
        """Stop a running machine; a reclaim under notice is off with it."""
        machine = self._in(instance_id, now, "running")
        self._spot(machine, "", 0.0)
        stays = (Stay("toStop", self.timing.to_stop_s), Stay("stopping", self.timing.stopping_s), Stay("exited"))
        self._begin(machine, *stays)
        return machine

    def restart(self, instance_id: str, now: float) -> Machine:
        """Restart a running machine where it is; it bills on and keeps its addresses (inferred)."""
        machine = self._in(instance_id, now, "running")
        restarting = Stay("restarting", self.timing.restarting_s)
        self._begin(machine, Stay("toRestart", self.timing.to_restart_s), restarting, Stay("running"))
        return machine

    def delete(self, instance_id: str, now: float) -> Machine:
        """Remove a machine in any status (observed); a second delete while it goes changes nothing."""
        machine = self._known(instance_id, now)
        if machine.order.billing == "monthly":
            raise Refused("PREPAID_INSTANCE_NOT_SUPPORT_RELEASE", "prepaid instance can not be released")
        if not machine.is_going:
            self._spot(machine, machine.spot_status, machine.reclaim_at)
            removing = Stay("removing", self.timing.removing_s)
            self._begin(machine, Stay("toRemove", self.timing.to_remove_s), removing, Stay("removed"))
        return machine

    def edit(self, edit: Edit, now: float) -> None:
        """Change ports and let the disk grow, without a restart; a new port has its address at once."""
        machine = self._in(edit.instance_id, now, "running", "exited")
        if machine.rootfs_size + edit.expand_root_disk > machine.product.disk:
            raise invalid("expandRootDisk is beyond the product's disk")
        if edit.ports is not None:
            check_ports(edit.ports, machine.order.tools)
            machine.ports = edit.ports
            if machine.status == "running":
                self.doors.change(machine)
        machine.grow(edit.expand_root_disk, now)

    def upgrade(self, upgrade: Upgrade, now: float) -> None:
        """Make the machine anew from another image, environment and command; an exited one takes GPUs first."""
        machine = self._in(upgrade.instance_id, now, "running", "exited")
        self.shelf.check_auth(upgrade.image_auth_id)
        if machine.status == "exited":
            self._take(machine)
        machine.rebuild(upgrade)
        stays = (Stay("toReset", self.timing.to_reset_s), Stay("resetting", self.timing.resetting_s))
        self._begin(machine, *stays, Stay("running"))

    def migrate(self, instance_id: str, now: float, job_type: str = "instanceMigrate") -> Job:
        """Move a machine to other hardware, in its own cluster or another of its product, by a job."""
        machine = self._in(instance_id, now, "running", "exited")
        if machine.spot_status in {"notified", "reclaiming"}:
            raise self._wrong_state()
        error, place = "", ""
        try:
            places = dict.fromkeys((machine.cluster.id, *machine.product.clusters))
            place = self.stock.place(machine.product, places, machine.order.gpu_num, machine.order.billing)
        except Refused as none_left:
            error = "MIGRATE_INSUFFICIENT_RESOURCE"
            if self.quirks.migrate_shortage == "refused" and job_type == "instanceMigrate":
                raise Refused(error, "insufficient resource to migrate") from none_left
        self._give_back(machine)
        if place:
            machine.cluster = self.shelf.cluster(place)
            self._take(machine)
        job = self._new_job(job_type, machine, error)
        self._begin(machine, Stay("migrating"))
        return job

    def save_image(self, instance_id: str, auth_id: str, now: float) -> Job:
        """Begin a job that saves the machine's disk as an image."""
        self.shelf.check_auth(auth_id)
        return self._new_job("saveImage", self._in(instance_id, now, "running", "exited"))

    def break_job(self, job_id: str, now: float) -> Job:
        """Interrupt a job; migrations cannot be (console)."""
        self.advance(now)
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused("JOB_NOT_FOUND", "job not found")
        if job.type in MIGRATIONS:
            raise Refused("MIGRATION_JOB_NOT_BREAKABLE", "migration job can not be broken")
        if job.state in {"pulling", "running"}:
            self._end_job(job, "break")
        return job

    def set_auto_migrate(self, instance_id: str, is_open: bool, now: float) -> None:
        """Let a reclaimed spot machine be moved by the cloud itself, or not."""
        self._known(instance_id, now).auto_migrate = is_open

    def delete_volume(self, volume_id: str, now: float) -> None:
        """Delete a volume; `Refused` with `NETWORK_STORAGE_IN_USE` while a machine mounts it."""
        self.advance(now)
        present = [machine for machine in self.machines.values() if machine.status != "removed"]
        mounted = {mount.id for machine in present for mount in machine.order.network_storages}
        if volume_id in mounted:
            raise Refused("NETWORK_STORAGE_IN_USE", "network storage is in use")
        self.purse.gone_usd += self.shelf.delete_volume(volume_id, now)

    def get(self, instance_id: str, now: float) -> Machine:
        """A machine get knows; `Refused` with `RESOURCE_NOT_FOUND` before and after."""
        self.advance(now)
        machine = self.machines.get(instance_id)
        if machine is None or now < machine.created_at + self.timing.get_lag_s:
            raise self._missing()
        if machine.status == "removed" and now >= machine.removed_at + self.timing.removed_known_s:
            raise self._missing()
        return machine

    def listing(self, now: float) -> tuple[Machine, ...]:
        """The machines the list knows, newest first (inferred); a stale listing stands still."""
        self.advance(now)
        until, machines = self._stale
        return machines if now < until else tuple(m for m in reversed(self.machines.values()) if self._is_listed(m))

    def go_stale(self, until: float, machines: Sequence[Machine]) -> None:
        """Show these copies as the listing until then."""
        self._stale = (until, tuple(machines))

    def balance_usd(self, now: float) -> float:
        """What the account has left; below zero it owes."""
        self.advance(now)
        owed = sum(machine.cost_usd(now) for machine in self.machines.values()) + self.shelf.volumes_usd(now)
        return self.purse.balance_usd(owed)

    def total_cost_usd(self, now: float) -> float:
        """What everything ever rented has cost so far."""
        return self.purse.paid_in_usd - self.balance_usd(now)

    def everything(self) -> list[Machine]:
        """Every machine there ever was, those long gone first."""
        return [*self.gone.values(), *self.machines.values()]

    def reply(self, endpoint: str, now: float) -> Reply:
        """What a knock at an endpoint (URL or `host:port`) meets at this instant."""
        self.advance(now)
        return self.doors.reply(endpoint, now)

    def reclaim(self, instance_id: str, now: float, notice_s: float | None = None) -> Machine:
        """Announce that a spot machine is taken back, after the notice or at once."""
        machine = self._in(instance_id, now, "running")
        if machine.order.billing != "spot":
            raise invalid("not a spot instance")
        self._spot(machine, "notified", now + (self.timing.spot_notice_s if notice_s is None else notice_s))
        self._agenda.plan("spot", machine.id, machine.reclaim_at, machine.spot_plan)
        self.advance(now)
        return machine

    def stick(self, instance_id: str, status: str, now: float) -> None:
        """Let a machine get stuck in a status, at once where it is in it."""
        machine = self._known(instance_id, now)
        machine.stuck_in = status
        if machine.status == status and machine.chain:
            machine.plan += 1

    def unstick(self, instance_id: str, now: float) -> None:
        """Let a stuck machine go on; the time of its status counts from now."""
        machine = self._known(instance_id, now)
        was_stuck, machine.stuck_in = machine.stuck_in, ""
        if was_stuck == machine.status and machine.chain:
            self._agenda.plan("status", machine.id, now, machine.plan)

    def crash(self, instance_id: str, now: float, state: str, message: str) -> Machine:
        """Let the machine's process or its launch fail: it ends as `exited` with a `statusError` (inferred)."""
        machine = self._known(instance_id, now)
        machine.error_state, machine.error_message = state, message
        self._spot(machine, "", 0.0)
        self._begin(machine, Stay("exited"))
        return machine

    def _happen(self, due: Due) -> None:
        if due.kind == "job":
            self._move_job(self.jobs.get(due.id))
            return
        machine = self.machines.get(due.id)
        if machine is None:
            return
        if due.kind == "status" and due.plan == machine.plan:
            self._go_on(machine)
        elif due.kind == "spot" and due.plan == machine.spot_plan:
            self._reclaim_further(machine)
        elif due.kind == "forget":
            self.purse.gone_usd += machine.cost_usd(self.now)
            self.gone[machine.id] = self.machines.pop(machine.id)

    def _begin(self, machine: Machine, *chain: Stay) -> None:
        machine.plan += 1
        machine.chain = list(chain)
        self._go_on(machine)

    def _go_on(self, machine: Machine) -> None:
        stay = machine.chain.pop(0)
        self._enter(machine, stay.status)
        if machine.chain and machine.stuck_in != stay.status:
            self._agenda.plan("status", machine.id, self.now + self._stretched(stay.seconds), machine.plan)

    def _enter(self, machine: Machine, status: str) -> None:
        machine.enter(status, self.now)
        self.census.note(machine.id, machine.marker, status)
        if status == "running":
            self._come_up(machine)
        elif status not in CONNECTED:
            self.doors.close(machine)
        if status == "exited":
            machine.stopped_at = self.now
        if status in {"exited", "removed"}:
            self._give_back(machine)
        if status == "removed":
            machine.removed_at = self.now
            lingering = max(self.timing.removed_known_s, self.timing.removed_listed_s)
            self._agenda.plan("forget", machine.id, self.now + lingering, machine.plan)

    def _come_up(self, machine: Machine) -> None:
        machine.running_since = machine.started_at = self.now
        if not machine.ssh_address:
            self.doors.open(machine)
        self._agenda.plan("look", machine.id, self.now + self.timing.ssh_s)
        self._agenda.plan("look", machine.id, self.now + self.timing.service_s)

    def _spot(self, machine: Machine, status: str, reclaim_at: float) -> None:
        machine.spot_plan += 1
        machine.spot_status, machine.reclaim_at = status, reclaim_at

    def _reclaim_further(self, machine: Machine) -> None:
        if machine.spot_status == "notified":
            machine.spot_status = "reclaiming"
            self._agenda.plan("spot", machine.id, self.now + self.timing.spot_reclaiming_s, machine.spot_plan)
            return
        machine.spot_status = self.quirks.spot_status_after_reclaim
        machine.holds_gpus = False  # they are somebody else's now, so they do not return to the stock
        self._begin(machine, Stay("exited"))
        if machine.auto_migrate:
            self.migrate(machine.id, self.now, "autoInstanceMigrate")

    def _new_job(self, job_type: str, machine: Machine, error: str = "") -> Job:
        job = Job("".join(self._rng.choices(ALPHABET, k=16)), job_type, machine.id, self.now, error=error)
        if self.failing_jobs:
            self.failing_jobs -= 1
            job.error = "UNKNOWN"
        self.jobs[job.id] = job
        machine.job_ids.append(job.id)
        self._agenda.plan("job", job.id, self.now + self._stretched(self.timing.job_pulling_s))
        return job

    def _move_job(self, job: Job | None) -> None:
        if job is None or job.state not in {"pulling", "running"}:
            return
        if job.state == "pulling":
            job.state = "running"
            seconds = self.timing.migrating_s if job.type in MIGRATIONS else self.timing.saving_image_s
            self._agenda.plan("job", job.id, self.now + self._stretched(seconds))
            return
        self._end_job(job, "fail" if job.error else "success")

    def _end_job(self, job: Job, state: str) -> None:
        job.state = state
        job.error_message = f"{job.type} failed" if state == "fail" else ""
        machine = self.machines.get(job.instance_id)
        if machine is None:
            return
        machine.job_ids.remove(job.id)
        if job.type in MIGRATIONS and machine.status == "migrating":
            if state == "success":
                self._spot(machine, "running" if machine.order.billing == "spot" else "", 0.0)
            self._begin(machine, Stay("running" if state == "success" else "exited"))

    def _check_money(self) -> None:
        if self.balance_usd(self.now) <= self.quirks.minimum_balance_usd:
            raise out_of_money()

    def _prepay(self, machine: Machine) -> None:
        months = max(1, machine.order.month)
        machine.end_at = machine.created_at + months * MONTH_S
        hours = months * MONTH_S / 3600
        machine.compute.settled_usd = machine.product.price * machine.order.gpu_num / 100_000 * hours

    def _take(self, machine: Machine) -> None:
        order = machine.order
        self.stock.take(machine.product.id, machine.cluster.id, order.gpu_num, order.billing)
        machine.holds_gpus = True

    def _give_back(self, machine: Machine) -> None:
        if machine.holds_gpus:
            order = machine.order
            self.stock.give_back(machine.product.id, machine.cluster.id, order.gpu_num, order.billing)
            machine.holds_gpus = False

    def _known(self, instance_id: str, now: float) -> Machine:
        machine = self.get(instance_id, now)
        if machine.status == "removed":
            raise self._missing()
        return machine

    def _in(self, instance_id: str, now: float, *statuses: str) -> Machine:
        machine = self._known(instance_id, now)
        if machine.status not in statuses:
            raise self._wrong_state()
        return machine

    def _is_listed(self, machine: Machine) -> bool:
        if machine.status == "removed" and self.now >= machine.removed_at + self.timing.removed_listed_s:
            return False
        return self.now >= machine.created_at + self.timing.list_lag_s

    def _wrong_state(self) -> Refused:
        return Refused(self.quirks.wrong_state_reason, "invalid state change")

    def _missing(self) -> Refused:
        return Refused("RESOURCE_NOT_FOUND", "instance not found")

    def _new_id(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"

    def _stretched(self, seconds: float) -> float:
        jitter = self.timing.jitter
        return seconds * self._rng.uniform(1 - jitter, 1 + jitter) if jitter else seconds
