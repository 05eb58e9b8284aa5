"""Folders for private stores while the shared one is out, a slot each: no two processes have the same.

What a killed process left in its slot is found by whoever starts next.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from novita_gpu.store.folder import CannotStart, taken
from novita_gpu.store.local import PrivateValkey

MOST = 64


class Slot:
    """Ours until `leave`. Several processes on one `root` get one each."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self._lock = folder, lock

    @property
    def was_used(self) -> bool:
        """A private store was begun in it."""
        return self.folder.exists()

    def forget(self) -> None:
        """Removes what was in it, once its server has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> None:
        os.close(self._lock)


def free(root: Path) -> Iterator[Slot]:
    """Every slot that nobody has, those with something in them first. Each is ours from when it is given."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in sorted(range(MOST), key=lambda number: not (root / str(number)).exists()):
        lock = os.open(root / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if taken(lock):
            yield Slot(root / str(number), lock)
        else:
            os.close(lock)


class Slots:
    """The one slot that this process has, if it has one, with its server. A `fallback.Shelter`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._slot: Slot | None = None
        self._server: PrivateValkey | None = None
        self._supervising: asyncio.Future[None] | None = None

    async def begin(self, *, goes_on: bool) -> str:
        self._slot = self._slot or self._free(used=goes_on)
        self._server = self._server or PrivateValkey(self._slot.folder)
        if not self._server.is_used:
            await self._server.start()
            self._supervising = asyncio.ensure_future(self._server.supervise())
        return self._server.url

    async def leave(self, *, is_done: bool) -> None:
        if self._supervising:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        if self._server:
            await self._server.leave()
        if self._slot and is_done:
            self._slot.forget()
        if self._slot:
            self._slot.leave()
        self._server = self._slot = self._supervising = None

    async def each_left(self, meet: Callable[[str], Awaitable[None]]) -> None:
        for slot in free(self._root):
            try:
                if not slot.was_used:
                    return
                async with PrivateValkey(slot.folder) as server:
                    await meet(server.url)
                slot.forget()
            finally:
                slot.leave()

    def _free(self, *, used: bool) -> Slot:
        """One that was left in the midst of it if it may be `used`, else an empty one."""
        for slot in free(self._root):
            if used or not slot.was_used:
                return slot
            slot.leave()
        raise CannotStart(f"no slot is free in {self._root}")
