"""What becomes of records, heartbeats and work when the shared store goes out, and when it is back."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from novita_gpu.control.journal import Journal
from novita_gpu.control.listening import Listening
from novita_gpu.control.meeting import Meeting, Met
from novita_gpu.control.parting import PARTED, known_by, part
from novita_gpu.domain.events import Event, EventType
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.base import KeyNameTaken

DEPLOYMENT = "deployment"


class TwoSides:
    """`facts` make a store this deployment's. `journal_of` writes to another store than the one at hand."""

    def __init__(
        self,
        *,
        store: Store,
        listening: Listening,
        facts: Mapping[str, str],
        journal_of: Callable[[Store], Journal],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._store, self._listening, self._facts = store, listening, facts
        self._journal_of, self._now, self._new_id = journal_of, now, new_id
        self._met = Met()

    async def part(self, private: Store) -> None:
        """Fills an empty private store with what is known here. Told there: the shared one hears of it later."""
        known = known_by(self._store, self._facts, alone=self._listening.is_alone())
        await part(known, private, self._new_id("prt"), self._now())
        reason = f"the shared store is out; {len(known.records)} records go on in a private one"
        await self._tell(private, EventType.STORE_PARTED, reason)

    async def bring(self, private: Store, shared: Store) -> None:
        """Writes what moved in the private store to the shared one. May be repeated; what moves meanwhile is left."""
        if not await self.is_begun(private):
            return
        await self._give_back(private, shared)
        self._met += await Meeting(private, shared, self._journal_of(shared), self._now).meet()

    async def meet(self, private: Store, shared: Store) -> None:
        """Writes what moved in the private store to the shared one. May be repeated until it is through.

        The mark of its begin goes then, before anything else of it: what is half removed is never taken for what moved.
        """
        if not await self.is_begun(private):
            return
        await self.bring(private, shared)
        met, self._met = self._met, Met()
        reason = f"the shared store is back; {met.records} records moved meanwhile, {met.new} of them are new"
        await self._tell(shared, EventType.STORE_MET, reason)
        await private.facts.forget(PARTED)

    async def _give_back(self, private: Store, shared: Store) -> None:
        """A shared store that came back empty is this deployment's still, and its keys open it. The deployment goes
        last: it says that the rest is there.
        """
        if await shared.facts.fact(DEPLOYMENT) is not None:
            return
        await private.api_keys.load()
        for key in private.api_keys.all():
            with suppress(KeyNameTaken):
                await shared.api_keys.add(key)
        for name in sorted(self._facts, key=lambda name: name == DEPLOYMENT):
            await shared.facts.first(name, self._facts[name])

    async def is_begun(self, private: Store) -> bool:
        """The private store was filled, and is not done with."""
        return await private.facts.fact(PARTED) is not None

    async def _tell(self, store: Store, type_: EventType, reason: str) -> None:
        event = Event(id=self._new_id("evt"), type=type_, at=self._now(), actor="sync", reason=reason)
        tell(await store.events.append(event))
