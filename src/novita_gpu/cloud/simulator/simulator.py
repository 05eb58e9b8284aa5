"""The simulator as one function from request to answer, the same with sockets and without."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random

import msgspec

from novita_gpu.cloud.simulator.catalogue import DEFAULT_CATALOGUE, Catalogue
from novita_gpu.cloud.simulator.clock import Clock
from novita_gpu.cloud.simulator.control import Control
from novita_gpu.cloud.simulator.core import Cloud
from novita_gpu.cloud.simulator.desk import Ask, Desk
from novita_gpu.cloud.simulator.doors import Addresses
from novita_gpu.cloud.simulator.faults import Call, CallLog, Fault, Faults
from novita_gpu.cloud.simulator.refusals import Answer, Refused
from novita_gpu.cloud.simulator.routes import ROUTES
from novita_gpu.cloud.simulator.settings import SimulatorSettings

CONTROL = "/_sim/"
CLOUDFLARE_1010 = b"<!DOCTYPE html><html><head><title>Access denied</title></head><body>error code: 1010</body></html>"


async def no_pause(seconds: float) -> None:
    """Let no real time pass: what a simulator without sockets waits with."""


@dataclass(slots=True)
class LateCall:
    """A call nobody was answered, whose effect is still to come."""

    at: float
    call: Call


class Simulator:
    """Novita's cloud, its faults and its control face, behind `handle`.

    Deterministic for a seed, an order of calls and a hand-turned clock; `copy.deepcopy` splits it in two.
    """

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        *,
        clock: Clock | None = None,
        addresses: Addresses | None = None,
        catalogue: Catalogue = DEFAULT_CATALOGUE,
        pause: Callable[[float], Awaitable[None]] = no_pause,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        self.clock = clock or Clock.by_hand()
        rng = Random(self.settings.seed)  # noqa: S311 - ids that can be made again, not secrets
        self.core = Cloud(self.settings, now=self.clock.now(), rng=rng, addresses=addresses, catalogue=catalogue)
        self.faults = Faults()
        self.calls = CallLog()
        self.latency_s: dict[str, float] = {}
        self.control = Control(self)
        self._desk = Desk(self.core)
        self._pause = pause
        self._late: list[LateCall] = []

    async def handle(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer one request as the cloud would; control calls too.

        Raises `ConnectionCut` and `NoAnswer` where a fault asks for them: the caller never learns more.
        """
        self.settle()
        if path.startswith(CONTROL):
            return self.control.answer(method, path.removeprefix(CONTROL), dict(query), body)
        call = self._record(method, path, dict(query), body)
        try:
            answer = await self._answer(call, {name.lower(): value for name, value in headers.items()})
        except Refused as refused:
            call.reason = refused.reason
            answer = refused.answer()
        call.status = answer.status
        return answer

    def settle(self) -> None:
        """Let everything happen that is due by now, late effects in their order."""
        now = self.clock.now()
        for late in sorted((late for late in self._late if late.at <= now), key=lambda late: late.at):
            self._late.remove(late)
            self._effect_of(late)
        self.core.advance(now)

    def next_at(self) -> float | None:
        """When something happens next by itself, in simulated unix seconds."""
        instants = [late.at for late in self._late]
        if (upcoming := self.core.next_at()) is not None:
            instants.append(upcoming)
        return min(instants, default=None)

    async def _answer(self, call: Call, headers: dict[str, str]) -> Answer:
        if headers.get("user-agent", "").startswith("Python-urllib"):
            return Answer(403, {"Content-Type": "text/html; charset=UTF-8"}, CLOUDFLARE_1010)
        self._check_key(headers.get("authorization", ""))
        if not call.op:
            raise Refused("API_NOT_FOUND", "api not found", status=404)
        fault = self.faults.take(call)
        call.fault = fault.kind if fault else ""
        if (latency_s := self.latency_s.get(call.op, self.latency_s.get("*", 0.0))) > 0:
            await self._pause(latency_s)
        if fault is None:
            return self._effect(call)
        return await self._troubled(call, fault)

    async def _troubled(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "late":
            self._late.append(LateCall(self.clock.now() + fault.seconds, call))
        elif fault.kind == "slow":
            return await self._slowly(call, fault)
        elif fault.when == "after":
            with contextlib.suppress(Refused):
                self._effect(call)
        return fault.spoil()

    async def _slowly(self, call: Call, fault: Fault) -> Answer:
        if fault.when == "before":
            await self._pause(fault.seconds)
            return self._effect(call)
        answer = self._effect(call)
        await self._pause(fault.seconds)
        return answer

    def _effect(self, call: Call, at: float | None = None) -> Answer:
        if call.malformed:
            raise Refused("REQUEST", "body is not a JSON object")
        ask = Ask(call.query, call.body, self.clock.now() if at is None else at)
        try:
            return self._desk.answer(call.op, ask)
        except Refused as refused:
            raise self._with_status(refused) from refused

    def _effect_of(self, late: LateCall) -> None:
        try:
            self._effect(late.call, late.at)
        except Refused as refused:
            late.call.reason = refused.reason

    def _with_status(self, refused: Refused) -> Refused:
        if refused.reason.endswith("NOT_FOUND") and refused.reason != "TEMPLATE_NOT_FOUND":
            refused.status = self.core.quirks.not_found_status
        return refused

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        quirks = self.core.quirks
        if scheme.lower() != "bearer" or not key:
            reason = "MISSING_API_KEY" if quirks.missing_key_status == 400 else "UNAUTHORIZED"
            raise Refused(reason, "missing api key", status=quirks.missing_key_status)
        if key in self.settings.keys or (not self.settings.keys and key.startswith("sk_")):
            return
        reason = "INVALID_API_KEY" if quirks.unknown_key_status == 403 else "FAILED_TO_AUTH"
        raise Refused(reason, "invalid api key", status=quirks.unknown_key_status)

    def _record(self, method: str, path: str, query: dict[str, str], body: bytes) -> Call:
        route = ROUTES.get((method, path))
        fields, malformed = _read(body) if method == "POST" else ({}, False)
        sent = fields if method == "POST" else query
        unknown = sorted(set(sent) - route.known) if route else []
        at = self.clock.now()
        call = Call(at, route.op if route else "", method, path, query, fields, unknown, malformed=malformed)
        self.calls.add(call)
        return call


def _read(body: bytes) -> tuple[dict[str, object], bool]:
    if not body:
        return {}, False
    try:
        return msgspec.json.decode(body, type=dict[str, object]), False
    except msgspec.DecodeError:
        return {}, True
