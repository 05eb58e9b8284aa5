"""Where machines are reached from outside, and what a knock there meets."""

from random import Random
from typing import Literal, NamedTuple, Protocol

from novita_gpu.cloud.simulator.machines import Machine
from novita_gpu.cloud.simulator.settings import Timing

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
Kind = Literal["http", "tcp", "ssh"]


class Reply(NamedTuple):
    """What a knock meets: a refusal, or an open door and, over HTTP, a status or silence (None)."""

    accepts: bool
    status: int | None = None


class Addresses(Protocol):
    """Where the ports of a machine are reached from outside. New addresses are given at each start."""

    def open(self, machine_id: str, cluster_id: str, port: int, kind: Kind, /) -> str:
        """The public address: a URL for http, `host:port` for tcp and ssh."""
        ...

    def close(self, machine_id: str, /) -> None:
        """Give up all addresses of a machine."""
        ...


class NovitaAddresses:
    """Addresses as the real cloud writes them (observed); nothing listens there."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def open(self, machine_id: str, cluster_id: str, port: int, kind: Kind, /) -> str:
        """A host name for http, a random port of the cluster's proxy for tcp and ssh."""
        if kind == "http":
            return f"https://{machine_id}-{port}.{cluster_id}.gpu-instance.novita.ai"
        return f"proxy.{cluster_id}.gpu-instance.novita.ai:{self._rng.randint(30000, 65535)}"

    def close(self, machine_id: str, /) -> None:
        """Nothing is held."""


class Doors:
    """The endpoints that exist now, and the health they were told to show."""

    def __init__(self, addresses: Addresses, rng: Random, timing: Timing) -> None:
        self._addresses = addresses
        self._rng = rng
        self.timing = timing
        self._served: dict[str, tuple[Machine, Kind]] = {}
        self.health: dict[str, str] = {}

    def open(self, machine: Machine) -> None:
        """Give a machine new addresses and a new SSH password."""
        self.change(machine)
        machine.ssh_address = self._serve(machine, 22, "ssh")
        machine.ssh_password = "".join(self._rng.choices(ALPHABET, k=20))

    def change(self, machine: Machine) -> None:
        """Follow a change of a machine's ports: new ones get an address, the others keep theirs."""
        exposed = (*machine.ports, *machine.order.tools)
        wanted: dict[int, Kind] = {one.port: one.type for one in exposed}
        for port in machine.endpoints.keys() - wanted.keys():
            self._served.pop(place_of(machine.endpoints.pop(port)), None)
        for port in [port for port in wanted if port not in machine.endpoints]:
            machine.endpoints[port] = self._serve(machine, port, wanted[port])

    def close(self, machine: Machine) -> None:
        """Take its addresses from a machine."""
        for endpoint in (*machine.endpoints.values(), machine.ssh_address):
            self._served.pop(place_of(endpoint), None)
        self._addresses.close(machine.id)
        machine.endpoints = {}
        machine.ssh_address = machine.ssh_password = ""

    def reply(self, endpoint: str, now: float) -> Reply:
        """What a knock at a URL or `host:port` meets."""
        if (served := self._served.get(place_of(endpoint))) is None:
            return Reply(accepts=False)
        machine, kind = served
        if kind == "ssh":
            return Reply(self.ssh_is_running(machine, now))
        is_up = machine.status == "running" and now >= machine.running_since + self.timing.service_s
        health = self.health.get(machine.id, self.health.get("*", "ok")) if is_up else "502"
        if kind == "tcp":
            return Reply(is_up and health in {"ok", "silent"})
        return Reply(True, {"ok": 200, "silent": None}.get(health) if health in {"ok", "silent"} else int(health))

    def ssh_is_running(self, machine: Machine, now: float) -> bool:
        """Whether sshd answers: it may lag behind `running` (observed)."""
        return machine.status == "running" and now >= machine.running_since + self.timing.ssh_s

    def set_health(self, instance_id: str, health: str) -> None:
        """Let the services of a machine, or of `*`, be `ok`, `silent`, or answer an HTTP status; `ValueError` else."""
        if health not in {"ok", "silent"} and not (health.isdecimal() and 100 <= int(health) <= 599):
            raise ValueError("health is ok, silent, or an HTTP status")
        self.health[instance_id] = health

    def _serve(self, machine: Machine, port: int, kind: Kind, /) -> str:
        endpoint = self._addresses.open(machine.id, machine.cluster.id, port, kind)
        self._served[place_of(endpoint)] = (machine, kind)
        return endpoint


def place_of(endpoint: str) -> str:
    """The `host[:port]` of a URL or address."""
    return endpoint.partition("://")[2].partition("/")[0] or endpoint
