"""How often a process asks the store while nothing happens, and by that how late what falls due may begin.

A server of one's own is asked often; one that is paid for by the command is not. What somebody wishes begins at once
with either: a ring ends a blocking read.
"""

from datetime import timedelta

from novita_gpu.domain.value import Value


class Pace(Value, frozen=True, kw_only=True):
    """The intervals of one process."""

    # The longest blocking read of the queue. Between two of them abandoned work is looked for; a full worker sleeps it.
    read: timedelta
    # How late an alarm or a listing may begin.
    schedule: timedelta
    # A pass whose worker has not renewed its hold for so long is given to another. Too short repeats what is only slow.
    abandoned: timedelta
    # Workers say that they are there. Nothing here asks; each time costs three commands for each kind of task.
    presence: timedelta
    # What a lost ring, or a listing that was never announced, waits at most.
    safety_net: timedelta
    # Between checks of health. In one of three it is looked at what waits, and a worker says that it is there.
    health: timedelta

    @property
    def back_within(self) -> timedelta:
        """A killed worker's pass is another's by then: docket looks for it every quarter of `abandoned`, by chance a
        quarter of that later, and only between two reads.
        """
        return self.abandoned * (1 + 1.25 / 4) + self.read


LOCAL = Pace(
    read=timedelta(seconds=2.3),
    schedule=timedelta(seconds=1.35),
    abandoned=timedelta(seconds=9.5),
    presence=timedelta(minutes=5),
    safety_net=timedelta(minutes=2),
    health=timedelta(seconds=10),
)
HOSTED = Pace(
    read=timedelta(seconds=5),
    schedule=timedelta(seconds=5),
    abandoned=timedelta(seconds=40),
    presence=timedelta(minutes=5),
    safety_net=timedelta(minutes=5),
    health=timedelta(seconds=30),
)
PACES = {"local": LOCAL, "hosted": HOSTED}
