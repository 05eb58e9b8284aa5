"""The only place that builds things from settings: cloud, store, passes and API of one process."""

from novita_gpu.wiring.ground import LOOPBACK, VERSION
from novita_gpu.wiring.plane import Plane, opened
from novita_gpu.wiring.secret import keep_secret

__all__ = ["LOOPBACK", "VERSION", "Plane", "keep_secret", "opened"]
