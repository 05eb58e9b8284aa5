"""How many calls a minute may be made: a token bucket, with a tenth kept for the calls that save money."""

from collections import deque
from collections.abc import Callable
from datetime import timedelta

from novita_gpu.cloud.base import Lane, Throttled

MINUTE_SECONDS = 60.0
# Kept for stops and deletes. Too small: a throttled plane cannot stop what bills; too large: launches go slowly.
KEPT_SHARE = 0.1
# One call, less what adding fractions loses: who waited exactly as long as told is let through.
ONE = 1 - 1e-6
# Of the budget, for listings.
LOOKING_SHARE = 0.5


class Budget:
    """Calls per minute, on a handed-in monotonic clock. A whole minute's calls may go in one burst; 0 is no limit.

    `take` may refuse. `charge` never does: it is for calls that must follow one that was let through, and puts the
    general part into debt; the part kept for `SAVING` is not touched by it.
    """

    def __init__(self, calls_per_minute: int, monotonic: Callable[[], float]) -> None:
        self.calls_per_minute = calls_per_minute
        self._monotonic = monotonic
        self._kept_most = max(1.0, calls_per_minute * KEPT_SHARE)
        self._general_most = max(1.0, calls_per_minute - self._kept_most)
        self._kept = self._kept_most
        self._general = self._general_most
        self._filled_at = monotonic()
        self._calls: deque[float] = deque()

    def take(self, lane: Lane) -> None:
        """Counts a call, or raises `Throttled` with the time until one is to be had."""
        self.check(lane)
        if self._general < ONE and lane is Lane.SAVING and self.calls_per_minute:
            self._kept -= 1
            self._note()
            return
        self.charge()

    def check(self, lane: Lane) -> None:
        """Raises what `take` would raise, and counts nothing."""
        if not self.calls_per_minute:
            return
        self._fill()
        if self._general >= ONE or (lane is Lane.SAVING and self._kept >= ONE):
            return
        wait = timedelta(seconds=self._seconds_until_one(lane))
        raise Throttled("the budget of calls to the cloud is used up", reason="BUDGET", retry_after=wait)

    def charge(self) -> None:
        """Counts a call that is made whatever the budget says."""
        if self.calls_per_minute:
            self._fill()
            self._general -= 1
        self._note()

    @property
    def used_last_minute(self) -> int:
        self._forget()
        return len(self._calls)

    @property
    def left(self) -> int | None:
        """Calls that any lane could make now; None when there is no limit."""
        if not self.calls_per_minute:
            return None
        self._fill()
        return max(0, int(self._general))

    def looking_interval(self, pages: int, wanted: timedelta) -> timedelta:
        """The wanted time between two listings, stretched so that listings take at most half of the budget."""
        if not self.calls_per_minute:
            return wanted
        seconds = max(1, pages) * MINUTE_SECONDS / (self.calls_per_minute * LOOKING_SHARE)
        return max(wanted, timedelta(seconds=seconds))

    def _fill(self) -> None:
        now = self._monotonic()
        gained = (now - self._filled_at) * self.calls_per_minute / MINUTE_SECONDS
        self._filled_at = now
        kept = min(gained, self._kept_most - self._kept)
        self._kept += kept
        self._general = min(self._general_most, self._general + gained - kept)

    def _seconds_until_one(self, lane: Lane) -> float:
        lacking = 1 - self._kept if lane is Lane.SAVING else self._kept_most - self._kept + 1 - self._general
        return lacking * MINUTE_SECONDS / self.calls_per_minute

    def _note(self) -> None:
        self._calls.append(self._monotonic())
        self._forget()

    def _forget(self) -> None:
        past = self._monotonic() - MINUTE_SECONDS
        while self._calls and self._calls[0] <= past:
            self._calls.popleft()
