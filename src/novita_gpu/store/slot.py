"""A folder for one process's private store while the shared one is out: no two processes have the same.

What a killed process left in its folder is found by whoever starts next.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from novita_gpu.store.folder import taken

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
