"""What happened in the last minute: the difference of two readings of counters that only grow."""

import asyncio
import math
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from novita_gpu.contract.metrics import CpuView, MemoryView, PerformanceView, SystemView
from novita_gpu.domain.value import Value
from novita_gpu.figures import Figures

SPAN_S = 60.0
# Between readings. Longer, and a minute is so much off; shorter, and idle processes do more.
EVERY_S = 5.0
TICK_S = 1.0
P99 = 0.99


class Counted(Value, frozen=True, kw_only=True):
    """One reading. `within` are answers up to each bound."""

    at: float
    requests: int
    errors: int
    answer_seconds: float
    within: dict[float, int]
    jobs: int
    cpu_s: float


class Rates:
    """`watch` reads every `EVERY_S`, and times the event loop. Answers are from memory."""

    def __init__(
        self,
        figures: Figures,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._figures, self._monotonic, self._cpu = figures, monotonic, cpu
        self._began = monotonic()
        self._kept: deque[Counted] = deque()
        self.read()

    async def watch(self) -> None:
        """For ever."""
        next_at = self._monotonic() + EVERY_S
        while True:
            asked = self._monotonic()
            await asyncio.sleep(TICK_S)
            self._figures.lagged(max(0.0, self._monotonic() - asked - TICK_S))
            if self._monotonic() >= next_at:
                self.read()
                next_at = self._monotonic() + EVERY_S

    def read(self) -> None:
        """Keeps a reading, and those of the last minute."""
        self._kept.append(self._now())
        while len(self._kept) > 1 and self._kept[1].at <= self._kept[-1].at - SPAN_S:
            self._kept.popleft()

    def requests_a_second(self) -> float:
        before, now, seconds = self._span()
        return round((now.requests - before.requests) / seconds, 3)

    def jobs_a_second(self) -> float:
        before, now, seconds = self._span()
        return round((now.jobs - before.jobs) / seconds, 3)

    def performance(self) -> PerformanceView:
        before, now, seconds = self._span()
        requests, errors = now.requests - before.requests, now.errors - before.errors
        within = {bound: many - before.within.get(bound, 0) for bound, many in sorted(now.within.items())}
        timed = within.get(math.inf, 0)
        return PerformanceView(
            requests_per_minute=round(requests / seconds * 60, 1),
            average_response_time_ms=round((now.answer_seconds - before.answer_seconds) * 1000 / timed, 2)
            if timed
            else 0.0,
            p99_response_time_ms=_p99(within) * 1000,
            error_rate_percent=round(100 * errors / requests, 2) if requests else 0.0,
        )

    def system(self) -> SystemView:
        before, now, seconds = self._span()
        return SystemView(
            memory=MemoryView(rss=rss()),
            cpu=CpuView(
                usage=round(100 * (now.cpu_s - before.cpu_s) / seconds, 1),
                load_average=tuple(round(load, 2) for load in os.getloadavg()),
            ),
            uptime=round(self._monotonic() - self._began, 1),
        )

    def _span(self) -> tuple[Counted, Counted, float]:
        """A minute ago or the begin, and now, and the seconds between. A young process has no whole minute."""
        now = self._now()
        before = next((one for one in reversed(self._kept) if one.at <= now.at - SPAN_S), self._kept[0])
        return before, now, max(1.0, now.at - before.at)

    def _now(self) -> Counted:
        requests = self._figures.requests()
        return Counted(
            at=self._monotonic(),
            requests=sum(requests.values()),
            errors=sum(many for (_, _, status), many in requests.items() if status >= "500"),
            answer_seconds=self._figures.answer_seconds(),
            within=self._figures.answers_within(),
            jobs=sum(self._figures.jobs().values()),
            cpu_s=self._cpu(),
        )


def _p99(within: dict[float, int]) -> float:
    """The smallest bound that 99 of 100 are within; the last finite one stands for all above it."""
    if not within or not (total := max(within.values())):
        return 0.0
    finite = [bound for bound in within if bound < math.inf]
    return next((bound for bound in finite if within[bound] >= P99 * total), finite[-1])


def rss() -> int:
    """Bytes of memory that this process has now; where the system does not tell, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
