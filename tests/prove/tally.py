"""What an exploration has come to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.prove.explore import Outcome
from tests.prove.schedule import Schedule

Cut = tuple[str, int]  # a life and the number of an operation in it
# Failures kept. What breaks once usually breaks often.
MOST_KEPT = 8


@dataclass
class Tally:
    """Adds up over schedules and over processes. `broken` are the first schedules that broke a promise, and which."""

    schedules: int = 0
    steps: int = 0
    machines: int = 0
    missed: int = 0  # schedules whose trouble was not met
    met: Counter[str] = field(default_factory=Counter[str])
    cuts: set[Cut] = field(default_factory=set[Cut])
    all_cuts: set[Cut] = field(default_factory=set[Cut])
    faults: Counter[str] = field(default_factory=Counter[str])
    broken: list[tuple[Schedule, Sequence[str]]] = field(default_factory=list[tuple[Schedule, Sequence[str]]])

    def add(self, schedule: Schedule, outcome: Outcome) -> None:
        self.schedules += 1
        self.steps += len(outcome.names)
        self.machines += outcome.created
        self.missed += bool(schedule.hazards and not outcome.met)
        self.met.update(trouble.value for trouble in outcome.met.elements())
        self.faults.update(fault.partition(":")[0] for fault in outcome.faults)
        if outcome.faults and len(self.broken) < MOST_KEPT:
            self.broken.append((schedule, outcome.faults))

    @classmethod
    def of(cls, tallies: Iterable["Tally"]) -> "Tally":
        whole = cls()
        for tally in tallies:
            whole.schedules += tally.schedules
            whole.steps += tally.steps
            whole.machines += tally.machines
            whole.missed += tally.missed
            whole.met += tally.met
            whole.cuts |= tally.cuts
            whole.all_cuts |= tally.all_cuts
            whole.faults += tally.faults
            whole.broken += tally.broken
        return whole

    def lines(self, seconds: float) -> list[str]:
        cut, points = len(self.cuts), len(self.all_cuts)
        share = f"{100 * cut / points:.0f} %" if points else "none"
        others = sum(self.faults.values()) - sum(self.faults[word] for word in ("leaked", "doubled", "events"))
        return [
            f"schedules explored     {self.schedules}, {600 * self.schedules / seconds:.0f} in ten minutes",
            f"single cut points      {cut} of {points}, {share}",
            f"operations             {self.steps}",
            f"faults injected        {sum(self.met.values())}: {_told(self.met)}",
            f"machines created       {self.machines}",
            f"leaked                 {self.faults['leaked']}",
            f"doubled                {self.faults['doubled']}",
            f"lost or doubled events {self.faults['events']}",
            f"other broken promises  {others}",
            f"wall time              {seconds:.0f} s",
        ]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common())
