"""A process that uses the private server of a folder: `python -m tests.store.user FOLDER`.

It says the server's pid, then obeys one word a line: `commit` commits without end and says each commit that was
acknowledged; `leave`, or the end of its input, ends it.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Unavailable
from novita_gpu.store.local import PrivateValkey
from tests.store.samples import creation, new_event, new_record


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def commit_without_end(store: Store) -> None:
    for number in count():
        record = new_record(f"p{number}")
        try:
            await store.records.commit(creation(record, events=(new_event(record),)))
        except Unavailable:
            say("unavailable")
            return
        say("committed", record.id)


async def main(folder: Path) -> None:
    async with PrivateValkey(folder) as valkey, open_store(valkey.url) as store:
        say("pid", valkey.pid)
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if word == "leave":
                break
            await commit_without_end(store)
    say("left")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
