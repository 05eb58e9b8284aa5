"""The circuit breaker: while the cloud does not answer, calls end at once instead of piling up.

Only time-outs, connection errors and 5xx trip it. A refusal is an answer, so unknown ids, bad requests, a wrong key
or full regions never cut anybody off.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal

from interlock import CircuitBreaker, CircuitOpenError, Config, CoreEventListener, State, WindowType

from novita_gpu.cloud.base import Unreachable
from novita_gpu.cloud.transport import Response, TooLate

CircuitState = Literal["closed", "open", "half-open"]

CIRCUIT_OPEN = "CIRCUIT_OPEN"
# Too short: an overloaded cloud gets no rest; too long: stops wait although it is back.
OPEN_SECONDS = 15.0
# Asked while half-open, all at once at most. Too few: one slow listing keeps stops out; too many: a flood.
PROBES = 3
# At least this many calls within the window, half of them failed. Too few: one hiccup trips it.
FEWEST_CALLS = 6
WINDOW_SECONDS = 30


class _Clock:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic


class _NoAnswerOr5xx:
    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        if exception is not None:
            return not isinstance(exception, TooLate)
        return isinstance(result, Response) and result.status >= 500


class Circuit(CoreEventListener):
    """interlock's breaker behind the three questions that we ask of one."""

    def __init__(self, monotonic: Callable[[], float], *, open_seconds: float = OPEN_SECONDS) -> None:
        self._monotonic = monotonic
        self._open_seconds = open_seconds
        self._opened_at = monotonic()
        self._breaker = CircuitBreaker(
            name="cloud",
            clock=_Clock(monotonic),
            classifier=_NoAnswerOr5xx(),
            listener=self,
            unreachable_exceptions=(TooLate,),
            config=Config(
                minimum_number_of_calls=FEWEST_CALLS,
                failure_rate_threshold=0.5,
                slow_call_duration_threshold=3600.0,
                wait_duration_in_open=open_seconds,
                permitted_calls_in_half_open=PROBES,
                max_concurrent_probes=PROBES,
                window_type=WindowType.TIME_BASED,
                window_size=WINDOW_SECONDS,
            ),
        )

    @property
    def state(self) -> CircuitState:
        if self._breaker.state is State.CLOSED:
            return "closed"
        return "half-open" if self.retry_after is None else "open"

    @property
    def retry_after(self) -> timedelta | None:
        """Until the next call is let through; None when one is let through now."""
        if self._breaker.state is not State.OPEN:
            return None
        seconds = self._opened_at + self._open_seconds - self._monotonic()
        return timedelta(seconds=seconds) if seconds > 0 else None

    def check(self) -> None:
        """Raises `Unreachable` while open."""
        if self.retry_after is not None:
            raise _cut(self.retry_after)

    async def guard(self, send: Callable[[], Awaitable[Response]]) -> Response:
        """The response of `send`, or `Unreachable` without having called it."""
        try:
            return await self._breaker.call_async(send)
        except CircuitOpenError:
            # Half-open with all probes under way has no time of its own; a second is one probe's usual length.
            raise _cut(self.retry_after or timedelta(seconds=1)) from None

    def on_state_change(self, *, name: str, old: State, new: State) -> None:  # noqa: ARG002 (interlock's signature)
        if new is State.OPEN:
            self._opened_at = self._monotonic()


def _cut(retry_after: timedelta) -> Unreachable:
    return Unreachable(
        "the cloud does not answer; calls to it are paused", reason=CIRCUIT_OPEN, retry_after=retry_after
    )
