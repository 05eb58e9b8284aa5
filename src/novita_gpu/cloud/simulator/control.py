"""The control face: what a test or a demo does to the cloud from outside it, and asks it. For loopback only: no key."""

from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from novita_gpu.cloud.simulator import wire
from novita_gpu.cloud.simulator.commands import (
    Act,
    Crash,
    Disguise,
    FailJobs,
    OneInstance,
    Reclaim,
    SetBalance,
    SetHealth,
    SetLatency,
    SetListing,
    SetProduct,
    SetStock,
    SetUsage,
    Stick,
    TurnClock,
)
from novita_gpu.cloud.simulator.faults import Fault
from novita_gpu.cloud.simulator.machines import Machine, Usage
from novita_gpu.cloud.simulator.orders import read_order
from novita_gpu.cloud.simulator.refusals import Answer, Refused, answer_json
from novita_gpu.cloud.simulator.settings import Quirks, Timing
from novita_gpu.cloud.simulator.wire import JsonObject

if TYPE_CHECKING:
    from novita_gpu.cloud.simulator.simulator import Simulator


Shape = TypeVar("Shape", bound=Struct)


class Control:
    """Commands (`post`) and questions (`get`) by name, as values; over HTTP the same under `/_sim/`."""

    def __init__(self, simulator: "Simulator") -> None:
        self._sim = simulator

    def answer(self, method: str, name: str, query: dict[str, str], body: bytes) -> Answer:
        """A command or question over HTTP: 400 with a message where it is not understood."""
        try:
            if method == "GET":
                return answer_json(self.get(name, **query))
            given = msgspec.json.decode(body or b"{}")
            fields: dict[str, Any] = {"faults": given} if isinstance(given, list) else given
            return answer_json(self.post(name, **fields))
        except (ValueError, LookupError, TypeError) as error:
            return answer_json({"message": str(error)}, 400)
        except Refused as refused:
            return refused.answer()

    def get(self, name: str, **query: str) -> object:
        """`state`, `audit`, `machines`, `calls` (`op`, `last` n) or `probe` (`endpoint`); `LookupError` else."""
        self._sim.settle()
        questions: dict[str, Callable[[dict[str, str]], object]] = {
            "state": self._state,
            "audit": self._audit,
            "machines": self._machines,
            "calls": self._calls,
            "probe": self._probe,
        }
        return questions[name](query)

    def post(self, name: str, **fields: object) -> object:
        """Do a command with the wire's fields. `ValueError`, `LookupError` or `Refused` where it cannot be done."""
        self._sim.settle()
        answer = self._commands()[name](fields)
        self._sim.settle()
        return {} if answer is None else answer

    def _commands(self) -> dict[str, Callable[[dict[str, object]], object]]:
        return {
            "stock": lambda given: self._stock(_as(SetStock, given)),
            "product": lambda given: self._product(_as(SetProduct, given)),
            "latency": lambda given: self._latency(_as(SetLatency, given)),
            "faults": self._faults,
            "faults/clear": lambda _: self._sim.faults.waiting.clear(),
            "calls/clear": lambda _: self._sim.calls.clear(),
            "reclaim": lambda given: self._reclaim(_as(Reclaim, given)),
            "stick": lambda given: self._stick(_as(Stick, given)),
            "unstick": lambda given: self._unstick(_as(OneInstance, given)),
            "clock": lambda given: self._clock(_as(TurnClock, given)),
            "health": lambda given: self._health(_as(SetHealth, given)),
            "metrics": lambda given: self._usage(_as(SetUsage, given)),
            "listing": lambda given: self._listing(_as(SetListing, given)),
            "console": lambda given: self._console(_as(Act, given)),
            "crash": lambda given: self._crash(_as(Crash, given)),
            "disguise": lambda given: self._disguise(_as(Disguise, given)),
            "jobs": lambda given: self._fail_jobs(_as(FailJobs, given)),
            "balance": lambda given: self._balance(_as(SetBalance, given)),
            "timing": self._timing,
            "quirks": self._quirks,
        }

    def _state(self, _: dict[str, str]) -> JsonObject:
        sim, now = self._sim, self._now()
        stock = [
            {"productId": product, "clusterId": cluster, "gpus": gpus}
            for (product, cluster), gpus in sim.core.stock.free.items()
        ]
        return {
            "now": now,
            "rate": sim.clock.rate,
            "balanceUsd": sim.core.balance_usd(now),
            "instances": [_tell(machine, now) for machine in sim.core.machines.values()],
            "stock": stock,
            "latency": sim.latency_s,
            "faults": [armed.fault for armed in sim.faults.waiting],
            "timing": sim.core.timing,
            "quirks": sim.core.quirks,
        }

    def _audit(self, _: dict[str, str]) -> JsonObject:
        core, now = self._sim.core, self._now()
        ever = core.everything()
        by_marker: dict[str, list[str]] = {}
        for machine in ever:
            if machine.marker:
                by_marker.setdefault(machine.marker, []).append(machine.id)
        return {
            "alive": [_tell(machine, now) for machine in ever if machine.status != "removed"],
            "totalCostUsd": core.total_cost_usd(now),
            "duplicates": {marker: ids for marker, ids in by_marker.items() if len(ids) > 1},
            "everCreated": len(ever),
            "aliveAtOnce": core.census.alive_at_once,
            "billedAtOnce": core.census.billed_at_once,
        }

    def _machines(self, _: dict[str, str]) -> list[JsonObject]:
        now = self._now()
        return [_tell(machine, now) | {"history": machine.history} for machine in self._sim.core.everything()]

    def _calls(self, query: dict[str, str]) -> JsonObject:
        wanted, last = query.get("op", ""), int(query.get("last", "0"))
        found = [call for call in self._sim.calls.calls if wanted in {"", call.op}]
        return {"calls": [asdict(call) for call in found[-last:]], "counts": self._sim.calls.counts}

    def _probe(self, query: dict[str, str]) -> JsonObject:
        return dict(self._sim.core.reply(query["endpoint"], self._now())._asdict())

    def _stock(self, command: SetStock) -> JsonObject:
        stock = self._sim.core.stock
        if command.shown is not None:
            stock.show(command.product_id, command.shown)
        if command.gpus is None:
            return {"set": 0}
        spot_only = command.billing_mode == "spot"
        chosen = stock.put(command.product_id, command.cluster_id, command.gpus, spot_only=spot_only)
        if not chosen:
            raise LookupError("no such product in such a cluster")
        return {"set": chosen}

    def _product(self, command: SetProduct) -> None:
        core = self._sim.core
        known = core.shelf.product(command.like or command.product_id)
        if command.withdrawn:
            del core.shelf.products[known.id]
            return
        names = ("name", "price", "spot_price", "billing", "clusters", "disk")
        changes = {name: value for name in names if (value := getattr(command, name)) is not None}
        product = msgspec.structs.replace(known, id=command.product_id, **changes)
        core.shelf.products[product.id] = product
        core.stock.open(product)

    def _latency(self, command: SetLatency) -> None:
        self._sim.latency_s[command.op] = command.seconds

    def _faults(self, given: dict[str, object]) -> JsonObject:
        several = given.get("faults")
        laid = msgspec.convert(several if several is not None else [given], list[Fault])
        self._sim.faults.lay(laid)
        return {"waiting": len(self._sim.faults.waiting)}

    def _reclaim(self, command: Reclaim) -> JsonObject:
        machine = self._sim.core.reclaim(command.instance_id, self._now(), command.notice_seconds)
        return {"spotStatus": machine.spot_status, "spotReclaimTime": wire.seconds(machine.reclaim_at)}

    def _stick(self, command: Stick) -> None:
        core = self._sim.core
        core.sticky_creates += [command.status] * command.creates
        if command.instance_id:
            core.stick(command.instance_id, command.status, self._now())

    def _unstick(self, command: OneInstance) -> None:
        self._sim.core.unstick(command.instance_id, self._now())

    def _clock(self, command: TurnClock) -> JsonObject:
        clock = self._sim.clock
        if command.rate is not None:
            clock.set_rate(command.rate)
        return {"now": clock.advance(command.advance), "rate": clock.rate}

    def _health(self, command: SetHealth) -> None:
        self._sim.core.doors.set_health(command.instance_id, command.health)

    def _usage(self, command: SetUsage) -> None:
        core, now = self._sim.core, self._now()
        usage = Usage(now, command.cpu, command.memory, command.disk, command.gpu, command.gpu_memory)
        if command.instance_id != "*":
            core.get(command.instance_id, now).usage.append(usage)
            return
        core.usual = [usage]
        for machine in core.machines.values():
            machine.usage.append(usage)

    def _listing(self, command: SetListing) -> None:
        core, now = self._sim.core, self._now()
        core.go_stale(now + command.stale_seconds, [copy(machine) for machine in core.listing(now)])

    def _console(self, command: Act) -> JsonObject:
        core, now = self._sim.core, self._now()
        if command.action == "create":
            return {"id": core.create(read_order(command.body), now).id}
        acts: dict[str, Callable[[str, float], object]] = {
            "start": core.start,
            "stop": core.stop,
            "restart": core.restart,
            "delete": core.delete,
            "migrate": core.migrate,
        }
        acts[command.action](command.instance_id, now)
        return {"id": command.instance_id}

    def _crash(self, command: Crash) -> None:
        self._sim.core.crash(command.instance_id, self._now(), command.state, command.message)

    def _disguise(self, command: Disguise) -> None:
        self._sim.core.get(command.instance_id, self._now()).disguise = command.fields

    def _fail_jobs(self, command: FailJobs) -> None:
        self._sim.core.failing_jobs = command.times

    def _balance(self, command: SetBalance) -> None:
        core = self._sim.core
        core.purse.paid_in_usd += command.usd - core.balance_usd(self._now())

    def _timing(self, given: dict[str, object]) -> Timing:
        self._sim.core.retime(_merged(self._sim.core.timing, given))
        return self._sim.core.timing

    def _quirks(self, given: dict[str, object]) -> Quirks:
        self._sim.core.quirks = _merged(self._sim.core.quirks, given)
        return self._sim.core.quirks

    def _now(self) -> float:
        return self._sim.clock.now()


def _tell(machine: Machine, now: float) -> JsonObject:
    return {
        "id": machine.id,
        "name": machine.order.name,
        "status": machine.status,
        "marker": machine.marker,
        "clusterId": machine.cluster.id,
        "productId": machine.product.id,
        "billingMode": machine.order.billing,
        "costUsd": machine.cost_usd(now),
    }


def _as(shape: type[Shape], given: dict[str, object]) -> Shape:
    return msgspec.convert(given, shape)


def _merged(value: Shape, given: dict[str, object]) -> Shape:
    old: dict[str, object] = msgspec.to_builtins(value)
    return msgspec.convert(old | given, type(value))
