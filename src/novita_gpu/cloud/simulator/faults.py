"""Troubles laid in the way of the next calls, and the record of all calls received."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from novita_gpu.cloud.simulator.refusals import (
    Answer,
    ConnectionCut,
    NoAnswer,
    Refused,
    answer_json,
    out_of_money,
    out_of_stock,
)

Kind = Literal[
    "500",
    "502",
    "503",
    "429",
    "cut",
    "hang",
    "html",
    "empty",
    "insufficient",
    "balance",
    "slow",
    "late",
    "ambiguous_200_without_id",
]
HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
CALLS_KEPT = 200_000  # a few hours of a busy test; more is memory, less forgets what a test asks for


class Fault(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One trouble: which calls it meets, whether before or after their effect, and what it makes of the answer.

    `times` 0 is for ever; `skip` lets that many matching calls pass first; `match` compares query parameters and
    top-level body fields as text. `slow` holds the call for `seconds` of real time; `late` is never answered and has
    its effect `seconds` later by the simulated clock.
    """

    kind: Kind
    op: str = "*"
    when: Literal["before", "after"] = "before"
    times: int = 1
    skip: int = 0
    seconds: float = 1.0
    retry_after: float | None = None
    match: dict[str, str] = {}

    def meets(self, call: "Call") -> bool:
        """Whether it is meant for this call."""
        said = call.query | {name: str(value) for name, value in call.body.items()}
        return self.op in {"*", call.op} and all(said.get(name) == value for name, value in self.match.items())

    def spoil(self) -> Answer:
        """The answer in place of the right one; raises `Refused`, `ConnectionCut` or `NoAnswer`."""
        match self.kind:
            case "cut":
                raise ConnectionCut
            case "hang" | "late":
                raise NoAnswer
            case "html":
                return Answer(502, {"Content-Type": "text/html; charset=UTF-8"}, HTML)
            case "insufficient":
                raise out_of_stock()
            case "balance":
                raise out_of_money()
            case "429":
                headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
                return Refused("RATE_LIMIT_EXCEEDED", "rate limit exceeded", status=429).answer(headers)
            case "ambiguous_200_without_id":
                return answer_json({})
            case "500" | "502" | "503":
                return Refused("UNKNOWN", "internal error", status=int(self.kind)).answer()
            case "empty" | "slow":
                return Answer()


@dataclass(slots=True)
class Call:
    """One call received. `status` 0 means it got no answer; `unknown` names parameters its page does not document."""

    at: float
    op: str
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, object]
    unknown: list[str]
    malformed: bool = False
    status: int = 0
    reason: str = ""
    fault: str = ""


@dataclass(slots=True)
class Armed:
    """A fault with what is left of it."""

    fault: Fault
    skip: int
    times: int


@dataclass(slots=True)
class Faults:
    """The faults that wait, first laid first taken."""

    waiting: list[Armed] = field(default_factory=list[Armed])

    def lay(self, faults: Iterable[Fault]) -> None:
        """Put faults in the way."""
        self.waiting += [Armed(fault, fault.skip, fault.times) for fault in faults]

    def take(self, call: Call) -> Fault | None:
        """The fault this call runs into, one time of it spent."""
        for armed in self.waiting:
            if not armed.fault.meets(call):
                continue
            if armed.skip > 0:
                armed.skip -= 1
                continue
            armed.times -= 1
            if armed.times == 0:
                self.waiting.remove(armed)
            return armed.fault
        return None


@dataclass(slots=True)
class CallLog:
    """Every call, oldest first, and counts by operation that outlive the log's end."""

    calls: deque[Call] = field(default_factory=lambda: deque[Call](maxlen=CALLS_KEPT))
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, call: Call) -> None:
        """Write a call down."""
        self.calls.append(call)
        self.counts[call.op] = self.counts.get(call.op, 0) + 1

    def clear(self) -> None:
        """Forget all calls."""
        self.calls.clear()
        self.counts.clear()
