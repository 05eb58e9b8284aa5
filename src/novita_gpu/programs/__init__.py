"""What runs: the service, a worker, the demo, the simulated cloud, the doctor."""

from novita_gpu.programs.demo import demo, simulate
from novita_gpu.programs.doctor import Finding, diagnose
from novita_gpu.programs.files import ENOUGH_FILES, allow_files
from novita_gpu.programs.listener import Listener, bound
from novita_gpu.programs.service import serve, work

__all__ = [
    "ENOUGH_FILES",
    "Finding",
    "Listener",
    "allow_files",
    "bound",
    "demo",
    "diagnose",
    "serve",
    "simulate",
    "work",
]
