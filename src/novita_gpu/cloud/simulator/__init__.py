"""A simulator of Novita's GPU cloud: the real paths, casings and quirks over HTTP, from a pure core on any clock.

It shares nothing with the client it stands in for. `running` starts one on loopback, `Simulator.handle` is the same
without sockets.
"""

from novita_gpu.cloud.simulator.app import Running, running, serve
from novita_gpu.cloud.simulator.catalogue import Catalogue, Cluster, Product
from novita_gpu.cloud.simulator.clock import Clock
from novita_gpu.cloud.simulator.core import Cloud
from novita_gpu.cloud.simulator.doors import Addresses, NovitaAddresses, Reply
from novita_gpu.cloud.simulator.faults import Fault
from novita_gpu.cloud.simulator.refusals import Answer, ConnectionCut, NoAnswer
from novita_gpu.cloud.simulator.settings import Quirks, SimulatorSettings, Timing
from novita_gpu.cloud.simulator.simulator import Simulator

__all__ = [
    "Addresses",
    "Answer",
    "Catalogue",
    "Clock",
    "Cloud",
    "Cluster",
    "ConnectionCut",
    "Fault",
    "NoAnswer",
    "NovitaAddresses",
    "Product",
    "Quirks",
    "Reply",
    "Running",
    "Simulator",
    "SimulatorSettings",
    "Timing",
    "running",
    "serve",
]
