"""The image that is made of a machine's disk before the machine is taken."""

from datetime import datetime, timedelta
from typing import Literal

from novita_gpu.domain.value import Value

# No colon after the last slash: that would be a tag, and the tag is ours to make.
REPOSITORY = r"^([A-Za-z0-9._-]+(:[0-9]{1,5})?/)?[a-z0-9._-]+(/[a-z0-9._-]+)*$"
# How often the job that saves is looked at.
LOOK_EVERY = timedelta(seconds=15)
# So often one is asked for at a notice, and so long after a try that failed.
MOST_TRIES = 3
AGAIN_AFTER = timedelta(minutes=1)
# A notice lasts as long (documented): within it one image is enough.
NOTICE = timedelta(hours=1)


class SavedImage(Value, frozen=True, kw_only=True):
    """Asked for at a notice. `attempt`: whose machine it is of. The intent is stored before the call, as any other."""

    address: str  # registry, repository and tag
    auth_id: str = ""
    attempt: int
    asked_at: datetime
    deadline: datetime  # when the call has answered or never will
    tries: int = 1
    state: Literal["asked", "saving", "saved", "failed"] = "asked"
    job: str = ""
    looked_at: datetime | None = None
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.state in {"asked", "saving"}

    @property
    def look_at(self) -> datetime:
        """When its job is looked at next."""
        if self.state == "asked":
            return self.deadline
        return (self.looked_at or self.asked_at) + LOOK_EVERY

    @property
    def next_at(self) -> datetime | None:
        """When its job is looked at, or another try may be made."""
        if self.is_under_way:
            return self.look_at
        return self.asked_at + AGAIN_AFTER if self.state == "failed" and self.tries < MOST_TRIES else None

    def is_enough(self, attempt: int, now: datetime) -> bool:
        """No other is asked for: this one is of the same notice, and saved or tried often enough, or lately."""
        if self.attempt != attempt or now >= self.asked_at + NOTICE:
            return False
        return self.state != "failed" or self.tries >= MOST_TRIES or now < self.asked_at + AGAIN_AFTER
