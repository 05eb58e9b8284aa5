"""Names while the shared store is out: what others of this deployment have made is seen in the cloud alone."""

import asyncio

from novita_gpu.cloud.base import Cloud, CloudError, Listing, machine_name
from novita_gpu.domain.errors import Conflicting, Unavailable
from novita_gpu.domain.orphans import mark_of


class Elsewhere:
    """Looks for a name among the machines of this deployment, in one complete listing.

    It began after the name was asked for; whoever asks while one is read shares the next.
    """

    def __init__(self, cloud: Cloud, deployment: str) -> None:
        self._cloud, self._deployment = cloud, deployment
        self._reading: asyncio.Future[Listing] | None = None
        self._next: asyncio.Future[Listing] | None = None

    async def refuse_taken(self, name: str) -> None:
        """Raises `Conflicting` for a name that a machine bears, `Unavailable` where that cannot be told."""
        try:
            listing = await self._listing()
        except CloudError as error:
            raise _untold(str(error)) from error
        if not listing.complete:
            raise _untold(listing.fault)
        for row in listing.rows:
            if mark_of(row.marker, self._deployment) and row.name == machine_name(name, row.marker):
                text = f"The machine {row.id} bears the name {name}, and the shared store is out. Choose another name."
                raise Conflicting("INSTANCE_ALREADY_EXISTS", text, details={"name": name, "novitaInstanceId": row.id})

    async def _listing(self) -> Listing:
        self._next = self._next or asyncio.ensure_future(self._read(self._reading))
        return await asyncio.shield(self._next)

    async def _read(self, before: "asyncio.Future[Listing] | None") -> Listing:
        if before:
            await asyncio.wait((before,))
        self._reading, self._next = self._next, None
        return await self._cloud.listing()


def _untold(why: str) -> Unavailable:
    return Unavailable(
        "STORE_UNAVAILABLE",
        f"The shared store is out, and the cloud cannot be asked whether the name is free: {why}. Try again soon.",
    )
