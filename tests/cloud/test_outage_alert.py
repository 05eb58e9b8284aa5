"""An outage of the cloud, sampled each second: the alert about it holds from the first pause to the first answer."""

import operator
import re
from collections.abc import Callable
from typing import Any

import yaml
from canned import HandClock, Reply, novita, ok
from tests.architecture.pages import text_of

from novita_gpu.api.exposition import CIRCUITS
from novita_gpu.cloud.base import CloudError
from novita_gpu.cloud.circuit import KINDS
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, Request

RULES = "deploy/prometheus/novita-gpu.rules.yaml"
COMPARED: dict[str, Callable[[float, float], bool]] = {"==": operator.eq, ">=": operator.ge, ">": operator.gt}
OUTAGE_S, LISTED_EVERY_S, HANGS_S = 600, 15, 10


def told() -> tuple[Callable[[float], bool], int]:
    """What the alert says of one sample, and for how many seconds that has to be so."""
    rules: Any = yaml.safe_load(text_of(RULES))
    (rule,) = (one for one in rules["groups"][0]["rules"] if one["alert"] == "NovitaGpuCloudOut")
    found = re.fullmatch(r"max by \(kind\) \(novita_gpu_circuit_state\) (==|>=?) (\d)", rule["expr"])
    minutes = re.fullmatch(r"(\d+)m", rule["for"])
    assert found
    assert minutes
    return lambda value: COMPARED[found[1]](value, float(found[2])), int(minutes[1]) * 60


class Outage:
    """A cloud that hangs for a while, and the state of the circuit of reads at each second."""

    def __init__(self) -> None:
        self.clock, self.samples = HandClock(), list[int]()
        self.ends = self.clock.seconds + OUTAGE_S
        self.cloud: Novita = novita(self._answer, self.clock)[0]

    def _answer(self, _request: Request) -> Reply:
        if self.clock.seconds >= self.ends:
            return ok({"instances": [], "total": 0})
        self.pass_by(HANGS_S)
        return NoAnswer("no answer: time-out")

    def pass_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.turn(1)
            (reads,) = (one for one in self.cloud.circuits if KINDS[one.lane] == "reads")
            self.samples.append(CIRCUITS[reads.state])

    async def run(self) -> None:
        """Listed again and again, until the first answer."""
        while True:
            try:
                await self.cloud.listing()
            except CloudError:
                self.pass_by(LISTED_EVERY_S)
            else:
                return


async def test_the_alert_holds_from_the_first_pause_to_the_first_answer() -> None:
    holds, seconds = told()
    outage = Outage()
    await outage.run()
    first = next(n for n, value in enumerate(outage.samples) if value)
    since = outage.samples[first:]
    assert set(since) == {CIRCUITS["half-open"], CIRCUITS["open"]}
    assert len(since) > seconds
    assert [n for n, value in enumerate(since) if not holds(value)] == []
    outage.pass_by(1)
    assert not holds(outage.samples[-1])
