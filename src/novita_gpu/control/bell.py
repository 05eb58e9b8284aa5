"""The doorbell: what wakes a pass. It carries ids, never decisions; losing all rings costs seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.value import Value


class NextLook(Value, frozen=True, kw_only=True):
    """When the cloud is to be looked at next. `asked`: somebody waits for news; else it is the usual look."""

    at: datetime
    asked: bool = False


class Bell(Protocol):
    async def ring(self, instance: InstanceId) -> None:
        """A pass over this instance begins now, or follows the one under way. Never two at once."""
        ...

    async def alarm(self, instance: InstanceId, at: datetime) -> None:
        """A pass at that time; replaces the alarm before. Does not lose a ring."""
        ...

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        """An alarm for each of many, in few round trips. Not `anew`: one that is there stays as it is."""
        ...

    async def look(self, at: datetime) -> None:
        """The next listing of the cloud begins at that time at the latest."""
        ...

    async def outbox(self) -> None:
        """Something waits to be delivered."""
        ...
