"""`make idle`: simulated fleets for days, and a table of what was found. Exit 1 if a promise was broken.

python -m tests.idle [--days N] [--fleets N] [--from SEED]
"""

import argparse
import asyncio
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import structlog

from novita_gpu.store.local import find_server
from tests.idle.days import lived
from tests.idle.table import lines, whole
from tests.idle.truth import Findings
from tests.valkey import running_server


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.idle")
    words.add_argument("--days", type=int, default=3)
    words.add_argument("--fleets", type=int, default=4)
    words.add_argument("--from", dest="first", type=int, default=0, metavar="SEED")
    given = words.parse_args()
    seeds = range(given.first, given.first + given.fleets)
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        shares = list(pool.map(_one, seeds, [given.days] * given.fleets))
    found = whole(share[0] for share in shares)
    happened = sum((share[1] for share in shares), Counter[str]())
    sys.stdout.write("\n".join(lines(found, happened, given.days * given.fleets, sum(s[2] for s in shares))) + "\n")
    return 1 if any(one.broken for one in found.values()) else 0


def _one(seed: int, days: int) -> tuple[dict[str, Findings], Counter[str], float]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with running_server(find_server()) as url:
        return asyncio.run(lived(url, seed, days))


if __name__ == "__main__":
    sys.exit(main())
