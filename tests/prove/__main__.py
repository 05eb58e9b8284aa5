"""`make prove`: the whole search, on all cores. Exit 1 if a promise was broken.

Every single cut and bad answer, on one replica and on two, some around a parting of stores, pairs, then schedules by
chance for `--minutes`.

python -m tests.prove [--minutes N] [--processes N] [--from SEED] [--every-pair]
python -m tests.prove --replay FILE      one schedule with its trace
python -m tests.prove --seed N           the schedule of one seed with its trace
"""

import argparse
import asyncio
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

from tests.prove.rig import rig
from tests.prove.run import Share
from tests.prove.schedule import Schedule, read, written
from tests.prove.search import of_seed
from tests.prove.shrink import shrink
from tests.prove.tally import Tally

KEPT = Path(__file__).parent / "regressions"
MOST_SEEDS = 10_000_000
# Of so many cuts and bad answers around a parting one is explored; all with `--every-pair`.
PARTED = 4


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.prove")
    words.add_argument("--minutes", type=float, default=3.0)
    words.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    words.add_argument("--from", dest="first", type=int, default=0, metavar="SEED")
    words.add_argument("--seed", type=int)
    words.add_argument("--replay", type=Path)
    words.add_argument("--every-pair", action="store_true")
    given = words.parse_args()
    if given.replay or given.seed is not None:
        schedule = read(given.replay.read_bytes()) if given.replay else of_seed(given.seed)
        return asyncio.run(replay(schedule))
    began = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        shares = [
            pool.submit(explore, turn, given.processes, given.minutes, given.first, every_pair=given.every_pair)
            for turn in range(given.processes)
        ]
        whole = Tally.of(share.result() for share in shares)
    _say("\n".join(whole.lines(time.monotonic() - began)))
    return asyncio.run(keep(whole)) if whole.broken else 0


def explore(turn: int, of: int, minutes: float, first: int, *, every_pair: bool = False) -> Tally:
    """One process's share."""
    return asyncio.run(_explore(turn, of, minutes, first, every_pair=every_pair))


async def _explore(turn: int, of: int, minutes: float, first: int, *, every_pair: bool) -> Tally:
    told = _Progress(turn)
    with rig() as own:
        share = Share(own, turn, of, told)
        await share.singles()
        await share.singles(replicas=2)
        await share.parted(1 if every_pair else PARTED)
        await share.pairs(every=every_pair)
        until = time.monotonic() + minutes * 60
        await share.by_chance(range(first, MOST_SEEDS), lambda: time.monotonic() < until)
    return share.tally


class _Progress:
    """A line a minute of the first process."""

    def __init__(self, turn: int) -> None:
        self._turn, self._next = turn, time.monotonic() + 60

    def __call__(self, tally: Tally) -> None:
        if self._turn == 0 and time.monotonic() > self._next:
            self._next += 60
            _say(f"  {tally.schedules} schedules in this process, {len(tally.broken)} broken")


async def keep(tally: Tally) -> int:
    """Makes each failure as short as it goes and keeps it where the tests find it."""
    with rig() as own:
        for schedule, faults in tally.broken:
            short = await shrink(schedule, own.breaks)
            text = written(short)
            path = KEPT / f"{sha256(text.encode()).hexdigest()[:12]}.json"
            path.write_text(text)
            _say(f"\nbroken: {faults[0]}\nkept as {path.relative_to(Path.cwd())}\n{text}")
    return 1


async def replay(schedule: Schedule) -> int:
    with rig() as own:
        outcome = await own.run(schedule, traced=True)
    _say("\n".join((*outcome.trace, *(f"broken: {fault}" for fault in outcome.faults))))
    return 1 if outcome.faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
