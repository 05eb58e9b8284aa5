"""Circuit breakers: while the cloud does not answer, calls end at once instead of piling up.

One for each lane, so that reads, what spends, and stops with deletes are cut off and tried again each by itself. Only
time-outs, connection errors and 5xx trip them. A refusal is an answer, so unknown ids, bad requests, a wrong key or
full regions never cut anybody off.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from interlock import CircuitBreaker, CircuitOpenError, Config, CoreEventListener, State, WindowType

from novita_gpu.cloud.base import Lane, Unreachable
from novita_gpu.cloud.transport import NoAnswer, NotSent, Response, TooLate
from novita_gpu.domain.value import Value

CircuitState = Literal["closed", "open", "half-open"]

CIRCUIT_OPEN = "CIRCUIT_OPEN"
# Asked while half-open. More would tell nothing more, and five minutes of outage are to cost few calls.
PROBES = 1
# It opens when so many of the last calls failed: five of six, or five if there were no more. Fewer, and one read, which
# is tried three times, cuts off the others; more, and an outage costs more calls.
LAST_CALLS, FEWEST_CALLS = 6, 5
FAILED = 0.75
# A circuit that nobody wants to call through for so long after its pause knows nothing of now, and closes.
UNASKED_SECONDS = 300
# Whoever finds the probe taken comes again after this: an answer is usually there by then.
BUSY = timedelta(seconds=5)


class Pause(Value, frozen=True, kw_only=True):
    """Between probes, doubled from the first to the longest.

    Too short: an overloaded cloud gets no rest; too long: what waits goes on waiting although it is back.
    """

    first_s: float
    longest_s: float


# As people call them.
KINDS = {Lane.LOOKING: "reads", Lane.SPENDING: "changes", Lane.SAVING: "stops"}
# Reads are asked most often: their answer ends the pauses of all others.
PAUSES = {
    Lane.LOOKING: Pause(first_s=10, longest_s=20),
    Lane.SPENDING: Pause(first_s=10, longest_s=60),
    Lane.SAVING: Pause(first_s=10, longest_s=60),
}


class Condition(Value, frozen=True, kw_only=True):
    """What one circuit is like now. `out_for`: since it was last closed. `fault`: what its last failure was."""

    lane: Lane
    state: CircuitState
    retry_after: timedelta | None = None
    out_for: timedelta | None = None
    fault: str = ""


class _Clock:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic


class _NoAnswerOr5xx:
    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        if exception is not None:
            return not isinstance(exception, TooLate)
        return isinstance(result, Response) and result.status >= 500


class Circuit(CoreEventListener):
    """interlock's breaker for one lane. `on_answer` is called when its probe was answered."""

    def __init__(self, lane: Lane, monotonic: Callable[[], float], on_answer: Callable[[], None]) -> None:
        self.lane, self._monotonic, self._on_answer = lane, monotonic, on_answer
        self._pause = PAUSES[lane]
        self._rounds, self._until, self._out_since, self._fault = 0, 0.0, 0.0, ""
        self._probing = 0
        self._breaker = CircuitBreaker(
            name=lane.value,
            clock=_Clock(monotonic),
            classifier=_NoAnswerOr5xx(),
            listener=self,
            unreachable_exceptions=(TooLate,),
            config=Config(
                minimum_number_of_calls=FEWEST_CALLS,
                failure_rate_threshold=FAILED,
                slow_call_duration_threshold=3600.0,
                wait_duration_in_open=self._pause.first_s,
                wait_duration_backoff_multiplier=2.0,
                wait_duration_in_open_max=self._pause.longest_s,
                permitted_calls_in_half_open=PROBES,
                max_concurrent_probes=PROBES,
                window_type=WindowType.COUNT_BASED,
                window_size=LAST_CALLS,
            ),
        )

    @property
    def is_closed(self) -> bool:
        return self._state is State.CLOSED

    @property
    def _state(self) -> State:
        if self._breaker.state is not State.CLOSED and self._monotonic() - self._until > UNASKED_SECONDS:
            self._breaker.reset()
        return self._breaker.state

    @property
    def retry_after(self) -> timedelta | None:
        """Until the next call is let through; None when one is let through now."""
        if self._state is not State.OPEN:
            return None
        seconds = self._until - self._monotonic()
        return timedelta(seconds=seconds) if seconds > 0 else None

    @property
    def condition(self) -> Condition:
        if self.is_closed:
            return Condition(lane=self.lane, state="closed")
        retry_after = self.retry_after
        return Condition(
            lane=self.lane,
            state="half-open" if retry_after is None else "open",
            retry_after=retry_after,
            out_for=timedelta(seconds=self._monotonic() - self._out_since),
            fault=self._fault,
        )

    def check(self) -> None:
        """Raises `Unreachable` while no call is let through."""
        if self.retry_after is not None:
            raise _cut(self.retry_after)
        if self._probing >= PROBES and not self.is_closed:
            raise _cut(BUSY)

    @contextmanager
    def entered(self) -> Generator[None]:
        """While it is not closed whoever is inside has the probe. Raises `Unreachable` as `check` does."""
        self.check()
        probe = int(not self.is_closed)
        self._probing += probe
        try:
            yield
        finally:
            self._probing -= probe

    async def guard(self, send: Callable[[], Awaitable[Response]]) -> Response:
        """The response of `send`, or `Unreachable` without having called it."""
        is_probe = not self.is_closed
        try:
            response = await self._breaker.call_async(send)
        except CircuitOpenError:
            raise _cut(self.retry_after or BUSY) from None
        except TooLate:
            raise
        except (NoAnswer, NotSent) as error:
            self._fault = str(error)
            raise
        if response.status >= 500:
            self._fault = f"the cloud answered {response.status}"
        elif is_probe:
            self._on_answer()
        return response

    def close(self) -> None:
        """What it was opened for is over. If it is not, a few calls open it again."""
        if self._breaker.state is not State.CLOSED:
            self._breaker.reset()

    def on_state_change(self, *, name: str, old: State, new: State) -> None:  # noqa: ARG002 (interlock's signature)
        now = self._monotonic()
        if new is not State.OPEN:
            return
        if old is State.CLOSED:
            self._rounds, self._out_since = 0, now
        else:
            self._rounds += 1
        self._until = now + min(self._pause.first_s * 2**self._rounds, self._pause.longest_s)


class Circuits:
    """The circuit of each lane. A probe that is answered closes all: the cloud is there again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._of = {lane: Circuit(lane, monotonic, self._close_all) for lane in PAUSES}

    def of(self, lane: Lane) -> Circuit:
        return self._of[lane]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Reads, what spends, what saves."""
        return tuple(circuit.condition for circuit in self._of.values())

    @property
    def state(self) -> CircuitState:
        """The worst of them."""
        states = {condition.state for condition in self.conditions}
        return "open" if "open" in states else "half-open" if "half-open" in states else "closed"

    @property
    def retry_after(self) -> timedelta | None:
        """Until the first of those that are open lets a call through; None while none is open."""
        return min((one.retry_after for one in self.conditions if one.retry_after is not None), default=None)

    def _close_all(self) -> None:
        for circuit in self._of.values():
            circuit.close()


def _cut(retry_after: timedelta) -> Unreachable:
    return Unreachable(
        "the cloud does not answer; calls to it are paused", reason=CIRCUIT_OPEN, retry_after=retry_after
    )
