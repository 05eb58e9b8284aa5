"""The time of the simulated cloud: real, faster, or turned by hand."""

import time
from collections.abc import Callable
from typing import Self


class Clock:
    """Unix seconds that run at `rate`: 1 is real time, 60 is a minute a second, 0 moves only by `advance`."""

    def __init__(self, start: float, *, rate: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rate = rate
        self._at = start
        self._read_at = monotonic()
        self.turns = 0  # how often it was set, so that who waits on it can tell

    @classmethod
    def by_hand(cls, start: float = 1_780_000_000.0) -> Self:
        """A clock that stands still until it is advanced."""
        return cls(start)

    @classmethod
    def real(cls, rate: float = 1.0) -> Self:
        """A clock that starts at the wall's time and runs at `rate`."""
        return cls(time.time(), rate=rate)

    @property
    def rate(self) -> float:
        """Simulated seconds to a real one."""
        return self._rate

    def now(self) -> float:
        """The simulated instant, unix seconds; never goes back."""
        return self._at + (self._monotonic() - self._read_at) * self._rate

    def advance(self, seconds: float) -> float:
        """Leap forward and answer the new instant; `ValueError` for a leap back."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._anchor(self.now() + seconds)
        return self._at

    def set_rate(self, rate: float) -> None:
        """Run at another speed from this instant on; `ValueError` below zero."""
        if rate < 0:
            raise ValueError("time does not go back")
        self._anchor(self.now())
        self._rate = rate

    def real_seconds_until(self, at: float) -> float | None:
        """How long to wait in real seconds, `None` where only a hand can bring that instant about."""
        if self._rate == 0:
            return None
        return max(0.0, (at - self.now()) / self._rate)

    def _anchor(self, at: float) -> None:
        self._at = at
        self._read_at = self._monotonic()
        self.turns += 1
