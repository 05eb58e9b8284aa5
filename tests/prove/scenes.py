"""Schedules with a story, each of which must end well."""

from tests.prove.schedule import Hazard, Outside, Schedule, Trouble, Wish

T = Trouble
SCENES: dict[str, Schedule] = {
    "a delete while the create is unanswered": Schedule(
        wishes=(Wish(at=1, verb="create"), Wish(at=2, verb="delete")),
        hazards=(Hazard(trouble=T.UNHEARD, nth=0, op="create"),),
    ),
    "a name that is part of another one": Schedule(
        wishes=(Wish(at=1, verb="create", name="trainer"), Wish(at=20, verb="create", name="train")),
        hazards=(Hazard(trouble=T.FAILED, nth=1, op="create"),),
    ),
    "a copy with the same environment": Schedule(
        wishes=(Wish(at=1, verb="create"),), outside=(Outside(at=30, act="clone"),)
    ),
    "a copy while the create is unanswered": Schedule(
        wishes=(Wish(at=1, verb="create"), Wish(at=40, verb="delete")),
        hazards=(Hazard(trouble=T.UNHEARD, nth=0, op="create"),),
        outside=(Outside(at=30, act="clone"),),
    ),
    "another account's cloud for some minutes": Schedule(
        wishes=tuple(Wish(at=number, verb="create", name=name) for number, name in enumerate("abcd", 1)),
        outside=(Outside(at=400, act="elsewhere", seconds=200),),
    ),
    "listings without their last row while a create is unanswered": Schedule(
        wishes=(Wish(at=1, verb="create"),),
        hazards=(
            Hazard(trouble=T.UNHEARD, nth=0, op="create"),
            Hazard(trouble=T.SHORT, nth=0, op="instances", times=30),
        ),
    ),
    "a create whose effect comes long after it was given up": Schedule(
        wishes=(Wish(at=1, verb="create"),),
        hazards=(Hazard(trouble=T.LATER, nth=0, op="create", seconds=60),),
    ),
    "a create doubled on its way": Schedule(
        wishes=(Wish(at=1, verb="create"),), hazards=(Hazard(trouble=T.TWICE, nth=0, op="create"),)
    ),
    "a listing that stands still for a minute": Schedule(
        wishes=(Wish(at=1, verb="create"),),
        hazards=(
            Hazard(trouble=T.UNHEARD, nth=0, op="create"),
            Hazard(trouble=T.STALE, nth=0, op="instances", seconds=60),
        ),
    ),
    "more wished for than the limit has room for": Schedule(
        wishes=(
            *(Wish(at=1 + number / 100, verb="create", name=name) for number, name in enumerate("abcd")),
            Wish(at=40, verb="stop", name="a"),
            Wish(at=41, verb="start", name="a"),
            Wish(at=60, verb="delete", name="b"),
            Wish(at=61, verb="create", name="c"),
        ),
        room=2,
    ),
    "a pull that gets stuck": Schedule(
        wishes=(Wish(at=1, verb="create"),), outside=(Outside(at=0, act="stick"),)
    ),
}  # fmt: skip


def patched_at(at: float) -> Schedule:
    """A change of policy just when the create is on its way."""
    return Schedule(wishes=(Wish(at=1, verb="create"), Wish(at=at, verb="patch")))


def hurried(order: int) -> Schedule:
    """Wishes that follow each other at once, on two replicas."""
    return Schedule(
        wishes=(
            Wish(at=1, verb="create"),
            Wish(at=1.15, verb="stop"),
            Wish(at=1.25, verb="patch"),
            Wish(at=1.3, verb="start"),
            Wish(at=20, verb="stop"),
            Wish(at=20, verb="delete"),
        ),
        replicas=2,
        order=order,
    )
