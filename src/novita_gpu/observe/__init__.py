"""What is told of this process while it runs: logs, lines for Axiom, traces."""

from novita_gpu.observe.happened import BUSINESS, PERFORMANCE, SECURITY, tell
from novita_gpu.observe.ids import bind, correlate, correlation, id_or_new
from novita_gpu.observe.logs import Form, configure, form_of, logger
from novita_gpu.observe.shipping import Shipped, shipped
from novita_gpu.observe.timing import CLOUD, HELD, STORE, Parts, measured, ms, spent, took

__all__ = [
    "BUSINESS",
    "CLOUD",
    "HELD",
    "PERFORMANCE",
    "SECURITY",
    "STORE",
    "Form",
    "Parts",
    "Shipped",
    "bind",
    "configure",
    "correlate",
    "correlation",
    "form_of",
    "id_or_new",
    "logger",
    "measured",
    "ms",
    "shipped",
    "spent",
    "tell",
    "took",
]
