"""Which schedules are explored: every single cut and bad answer of each command's life, every pair of a cut and a bad
answer for create and delete, and whatever else by chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from tests.prove.explore import Outcome
from tests.prove.schedule import Hazard, Outside, Parted, Schedule, Trouble, Verb, Wish

T = Trouble
TOUCHED = (Wish(at=1, verb="create"), Wish(at=30, verb="touch"))
LIVES: dict[str, Schedule] = {
    "create": Schedule(wishes=(Wish(at=1, verb="create", key="k1"),)),
    "stop": Schedule(wishes=(Wish(at=1, verb="create"), Wish(at=30, verb="stop", key="k1"))),
    "start": Schedule(
        wishes=(Wish(at=1, verb="create"), Wish(at=30, verb="stop"), Wish(at=50, verb="start", key="k1"))
    ),
    "restart": Schedule(wishes=(Wish(at=1, verb="create"), Wish(at=30, verb="restart", key="k1"))),
    "delete": Schedule(wishes=(Wish(at=1, verb="create"), Wish(at=30, verb="delete", key="k1"))),
    "migrate": Schedule(wishes=TOUCHED, outside=(Outside(at=31, act="reclaim"),), spot="migrate"),
    "recreate": Schedule(wishes=TOUCHED, outside=(Outside(at=31, act="reclaim"),), spot="recreate"),
    "image": Schedule(wishes=TOUCHED, outside=(Outside(at=31, act="reclaim", seconds=20),), spot="migrate", image=True),
    "idle": Schedule(wishes=(Wish(at=1, verb="create"), Wish(at=30, verb="touch")), idle_minutes=1),
}
# Of so many pairs of a cut and a bad answer one is explored; all with `--every-pair`, which takes most of an hour.
PAIRED = {"create": 1, "delete": 1, "migrate": 8, "recreate": 8}
CUT = (Parted(at=20, seconds=10),)
# Two replicas, of which one loses the line to the shared store, with wishes before, meanwhile, and after.
PARTED_LIVES: dict[str, Schedule] = {
    "made away": Schedule(
        wishes=(Wish(at=24, verb="create", key="k1"), Wish(at=24.2, verb="create", key="k1")), parted=CUT, replicas=2
    ),
    "moved away": Schedule(
        wishes=(
            Wish(at=1, verb="create"),
            Wish(at=1, verb="create", name="b"),
            Wish(at=24, verb="stop"),
            Wish(at=24, verb="delete", name="b"),
        ),
        parted=CUT,
        replicas=2,
    ),
    "on its way": Schedule(
        wishes=(Wish(at=19, verb="create"), Wish(at=26, verb="stop"), Wish(at=45, verb="start")), parted=CUT, replicas=2
    ),
}
WRITES = frozenset(
    {"commit", "publish", "touch", "append", "claim", "keep", "release", "first", "remember", "SET", "ZREM"}
)
MUTATIONS = frozenset({"create", "start", "stop", "restart", "migrate", "delete", "image"})
LISTING = "instances"
# Of simulated time. A pause is longer than a create may take and than the redelivery of what was in hand.
REBIRTH_S, PAUSE_S = 1.0, 90.0
LATE_S, LATER_S, STALE_S = 3.0, 4.0, 2.0


def cuts(number: int) -> tuple[Hazard, ...]:
    """The ways to cut before an operation."""
    return (
        Hazard(trouble=T.KILL, nth=number, seconds=REBIRTH_S),
        Hazard(trouble=T.PAUSE, nth=number, seconds=PAUSE_S),
    )


def bad_answers(number: int, seam: str, name: str) -> tuple[Hazard, ...]:
    """All that can go wrong with the answer to one operation."""
    troubles = dict.fromkeys(_troubles(seam, name), 0.0)
    troubles |= {t: s for t, s in ((T.LATE, LATE_S), (T.LATER, LATER_S), (T.STALE, STALE_S)) if t in troubles}
    return tuple(Hazard(trouble=trouble, nth=number, seconds=seconds) for trouble, seconds in troubles.items())


def _troubles(seam: str, name: str) -> tuple[Trouble, ...]:
    match seam:
        case "store":
            return (T.LOST, T.UNHEARD, T.TWICE) if name in WRITES else (T.LOST,)
        case "bell":
            return (T.LOST, T.TWICE, T.LATE)
        case "door":
            return (T.SICK,)
        case "cloud" if name == LISTING:
            return (T.LOST, T.BUSY, T.STALE, T.SHORT, T.LATE)
        case "cloud" if name in MUTATIONS:
            return (T.LOST, T.FAILED, T.UNHEARD, T.SPOILED, T.PAGE, T.BUSY, T.LATER, T.LATE)
        case "cloud":
            return (T.LOST, T.BUSY)
        case _:
            return ()


@dataclass(frozen=True)
class Span:
    """The operations of a life from its last wish to its rest, when nothing more goes wrong than already does.

    Where the line is cut, from then on.
    """

    schedule: Schedule
    first: int
    last: int
    seams: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, schedule: Schedule, outcome: Outcome) -> "Span":
        marks = outcome.marks
        first = marks.get("cut", marks["last wish"])
        return cls(schedule, first, marks["rested"], tuple(outcome.seams), tuple(outcome.names))

    def cut(self, *, after: int = -1) -> Iterator[Schedule]:
        """Each cut of it, one at a time."""
        for number in range(max(self.first, after + 1), self.last):
            for cut in cuts(number):
                yield self.schedule.with_hazards(cut)

    def spoiled(self, *, after: int = -1) -> Iterator[Schedule]:
        """Each bad answer in it, one at a time."""
        for number in range(max(self.first, after + 1), self.last):
            for hazard in bad_answers(number, self.seams[number], self.names[number]):
                yield self.schedule.with_hazards(hazard)

    def beaten(self) -> Iterator[Schedule]:
        """A heartbeat before each operation, one at a time, where idleness stops anything."""
        for number in range(self.first, self.last if self.schedule.idle_minutes else self.first):
            yield self.schedule.with_hazards(Hazard(trouble=T.BEAT, nth=number))

    def killed(self, *, after: int) -> Iterator[Schedule]:
        for number in range(max(self.first, after + 1), self.last):
            yield self.schedule.with_hazards(cuts(number)[0])


VERBS: tuple[Verb, ...] = ("create", "start", "stop", "restart", "delete", "touch", "patch")
VERB_WEIGHTS = (6, 4, 4, 2, 4, 1, 1)
# Operations that are few and matter: chosen by their names they are met, by number hardly ever.
TARGETS: tuple[tuple[str, str], ...] = (
    *(("cloud", name) for name in ("create", "create", "start", "stop", "restart", "delete", "instances", "instance")),
    *(("store", name) for name in ("commit", "commit", "publish", "claim", "look", "load", "touch")),
    *(("bell", name) for name in ("ring", "alarm", "look for")),
    ("door", "probe"),
)
# Not removed too: with those of the schedule below it three may go at once, which is no absence that is believed.
SPOT_ACTS = ("reclaim", "reclaim", "stop", "crash")
# The part of the schedules of spot machines whose disks are saved at a notice.
IMAGED = 0.4
# The part of the lines that are cut again in the midst of a meeting, or soon after.
AGAIN = 0.5
ACTS = ("start", "stop", "delete", "crash", "stick", "clone")


def by_chance(seed: int) -> Schedule:
    """The schedule of that seed: some wishes about few instances, doubled here and there, and troubles."""
    chance = Random(seed)  # noqa: S311 - the same schedule at each run
    names = "abc"[: chance.randint(1, 3)]
    return Schedule(
        wishes=tuple(sorted(_wishes(chance, names), key=lambda wish: wish.at)),
        hazards=tuple(_hazard(chance) for _ in range(chance.randint(0, 6))),
        outside=tuple(_outside(chance, names) for _ in range(chance.choice((0, 0, 0, 1, 2)))),
        replicas=chance.choice((1, 1, 2)),
        order=chance.choice((0, chance.randint(1, 2**31))),
        room=chance.choice((0, 0, 0, 1, 2)),
        idle_minutes=chance.choice((0, 0, 0, 1)),
    )


def of_seed(seed: int) -> Schedule:
    """Every fourth is of spot machines, and in every eighth a replica loses its store."""
    if seed % 8 == 7:
        return parted(seed)
    return by_chance(seed) if seed % 4 else on_spot(seed)


def parted(seed: int) -> Schedule:
    """The schedule of that seed on two replicas, of which one loses the line to the shared store once or twice.

    Nobody is at work in the cloud's console meanwhile, and there are no limits: each side counts for itself.
    """
    chance, schedule = Random(-1 - seed), by_chance(seed)  # noqa: S311 - the same schedule at each run
    at = chance.uniform(0, 40)
    cuts = [Parted(at=at, seconds=chance.choice((3.0, 8.0, 30.0)))]
    if chance.random() < AGAIN:
        cuts.append(Parted(at=at + cuts[0].seconds + chance.uniform(0.5, 4.0), seconds=8.0))
    return replace(schedule, parted=tuple(cuts), replicas=2, outside=(), room=0, idle_minutes=0)


def on_spot(seed: int) -> Schedule:
    """The schedule of that seed with spot machines that are taken."""
    chance, schedule = Random(-1 - seed), by_chance(seed)  # noqa: S311 - the same schedule at each run
    names = sorted({wish.name for wish in schedule.wishes})
    taken = tuple(
        Outside(at=chance.uniform(10, 90), act=chance.choice(SPOT_ACTS), name=chance.choice(names))
        for _ in range(chance.randint(1, 3))
    )
    spotted = replace(schedule, outside=(*schedule.outside, *taken), spot=chance.choice(("migrate", "recreate")))
    return _with_notice(spotted, chance) if chance.random() < IMAGED else spotted


def _with_notice(schedule: Schedule, chance: Random) -> Schedule:
    """Each taking is announced some time before, and the disk saved then."""
    outside = (
        replace(what, seconds=chance.uniform(1, 60)) if what.act == "reclaim" else what for what in schedule.outside
    )
    return replace(schedule, outside=tuple(outside), image=True)


def _wishes(chance: Random, names: str) -> Iterator[Wish]:
    for name in names:
        at = chance.uniform(1, 5)
        yield from _doubled(chance, Wish(at=at, verb="create", name=name, key=f"k-{name}"))
        for number in range(chance.randint(0, 4)):
            at += chance.choice((0.0, chance.uniform(0, 4), chance.uniform(5, 40)))
            key = chance.choice(("", f"k-{name}-{number}"))
            yield from _doubled(chance, Wish(at=at, verb=_verb(chance), name=name, key=key))


def _verb(chance: Random) -> Verb:
    return chance.choices(VERBS, VERB_WEIGHTS)[0]


def _doubled(chance: Random, wish: Wish) -> Iterator[Wish]:
    """A person who clicks twice."""
    yield wish
    if chance.random() < 0.2:
        yield wish


def _hazard(chance: Random) -> Hazard:
    seconds = chance.choice((0.5, 2.0, 3.0, 8.0, 45.0, 200.0))
    if chance.random() < 0.4:
        trouble = chance.choice((T.KILL, T.KILL, T.PAUSE, T.JUMP, T.OUT, T.BEAT))
        return Hazard(trouble=trouble, nth=chance.randint(0, 300), seconds=seconds)
    seam, name = chance.choice(TARGETS)
    troubles = (*_troubles(seam, name), *((T.TWICE, T.FULL) if name in MUTATIONS else ()), T.KILL, T.PAUSE)
    latest = 30 if name == LISTING else 6
    return Hazard(trouble=chance.choice(troubles), nth=chance.randint(0, latest), op=name, seconds=seconds)


def _outside(chance: Random, names: str) -> Outside:
    act = chance.choice(ACTS)
    return Outside(at=chance.uniform(0, 60), act=act, name=chance.choice(names))
