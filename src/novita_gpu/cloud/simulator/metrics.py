"""How busy a machine was, as the metrics endpoint tells it: late by a minute, one point an interval."""

from novita_gpu.cloud.simulator.machines import Machine, Usage
from novita_gpu.cloud.simulator.wire import JsonObject, seconds

LEAST_INTERVAL_S = 15


def read_window(query: dict[str, str], now: float) -> tuple[int, int, int]:
    """Start, end and interval in seconds; values out of bounds silently fall back to the defaults (documented)."""
    end = _whole(query.get("endTime", ""), 1, int(now), int(now))
    start = _whole(query.get("startTime", ""), 1, end - 60, max(0, int(now) - 60))
    interval = _whole(query.get("interval", ""), LEAST_INTERVAL_S + 1, 86_400, LEAST_INTERVAL_S)
    return start, end, interval


def measure(machine: Machine, query: dict[str, str], now: float, lag_s: float) -> JsonObject:
    """The series of one machine, in percent; there are no points while it was not running."""
    start, end, interval = read_window(query, now)
    instants = [at for at in range(start, end + 1, interval) if at <= now - lag_s]
    use = [machine.usage_at(at) for at in instants if machine.status_at(at) == "running"]
    at = [instant for instant in instants if machine.status_at(instant) == "running"]
    return {
        "cpuUtilization": _series(at, use, "cpu"),
        "memUtilization": _series(at, use, "memory"),
        "rootDiskUtilization": _series(at, use, "disk"),
        "gpuUtilization": _by_gpu(_series(at, use, "gpu"), machine.order.gpu_num),
        "gpuMemUtilization": _by_gpu(_series(at, use, "gpu_memory"), machine.order.gpu_num),
    }


def _series(instants: list[int], use: list[Usage], name: str) -> list[JsonObject]:
    pairs = zip(instants, use, strict=True)
    return [{"timestamp": seconds(at), "value": getattr(usage, name)} for at, usage in pairs]


def _by_gpu(series: list[JsonObject], gpus: int) -> JsonObject:
    return {"avg": series, "gpuIds": [{"gpuId": str(gpu), "items": series} for gpu in range(gpus)]}


def _whole(text: str, least: int, most: int, default: int) -> int:
    value = int(text) if text.isdecimal() else default
    return value if least <= value <= most else default
