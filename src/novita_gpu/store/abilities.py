"""What a server can do, tried out on it: what it says of itself is not always what it does, or lets this user do."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import token_hex

from novita_gpu.domain.value import Value
from novita_gpu.store.base import Refused
from novita_gpu.store.keys import Keys
from novita_gpu.store.wire import Wire

# A read that is to block so long and comes back in less than half of it has not blocked.
BLOCK_MS = 100
HEARS_WITHIN_S = 2.0
TRIAL_FOR_MS = 60_000
KEEPS = "noeviction"
BLOCKING = "a blocking read"


class Lack(Value, frozen=True, kw_only=True):
    """Something that the server does not do. `can_do_without`: it serves all the same, and `so` says at what cost."""

    what: str
    why: str
    so: str
    can_do_without: bool = False

    def __str__(self) -> str:
        return f"{self.what} is missing ({self.why}): {self.so}"


async def lacks(wire: Wire, keys: Keys) -> list[Lack]:
    """Everything that is missing. Leaves nothing behind. Raises `Unavailable` when the server does not answer."""
    trial = keys.trial(token_hex(8))
    tries = (_scripts, _groups, _blocking, _channels, _keeping)
    try:
        return [lack for each in tries for lack in await each(wire, keys, trial)]
    finally:
        with suppress(Refused):
            await wire.delete(trial)


async def _scripts(wire: Wire, _: Keys, trial: str) -> list[Lack]:
    async def runs() -> None:
        await wire.ask("EVAL", "return redis.call('EXISTS', KEYS[1])", 1, trial)
        sha = await wire.ask("SCRIPT LOAD", "return 1")
        await wire.ask("EVALSHA", sha, 0)

    return await _tried(runs, what="EVAL", so="nothing can be stored without scripts")


async def _groups(wire: Wire, _: Keys, trial: str) -> list[Lack]:
    async def claims() -> None:
        await wire.ask("XGROUP CREATE", trial, "trial", "$", "MKSTREAM")
        await wire.ask("PEXPIRE", trial, TRIAL_FOR_MS)
        await wire.ask("XAUTOCLAIM", trial, "trial", "one", 0, "0-0", "COUNT", 1)

    return await _tried(claims, what="XAUTOCLAIM", so="the work of a worker that dies would be lost")


async def _blocking(wire: Wire, keys: Keys, trial: str) -> list[Lack]:
    """Of the feed by XREAD, of the queue by XREADGROUP."""

    async def blocks(*words: str | int) -> bool:
        begun = time.monotonic()
        await wire.ask(*words)
        return time.monotonic() - begun >= BLOCK_MS / 2000

    read = ("XREAD", "BLOCK", BLOCK_MS, "STREAMS", keys.trial("never"), "0-0")
    taken = ("XREADGROUP", "GROUP", "trial", "one", "BLOCK", BLOCK_MS, "STREAMS", trial, ">")
    for words in (read, taken):
        try:
            if not await blocks(*words):
                return [_does_not_block(f"{words[0]} BLOCK comes back at once")]
        except Refused as refusal:
            if words is read or "NOGROUP" not in str(refusal):
                return [Lack(what=BLOCKING, why=str(refusal), so=f"{words[0]} is how changes and work are heard of")]
    return []


def _does_not_block(why: str) -> Lack:
    so = "the feed and the queue are asked again and again instead; each replica makes some 2 commands a second more"
    return Lack(what=BLOCKING, why=why, so=f"{so}, and hears of new work that much later", can_do_without=True)


async def _channels(wire: Wire, keys: Keys, _: str) -> list[Lack]:
    """With the very pattern that the work engine listens on: a user's right to a pattern is that pattern's alone."""

    async def hears() -> None:
        if not await wire.hears_itself(f"{keys.work}:cancel:*", f"{keys.work}:cancel:trial", HEARS_WITHIN_S):
            raise Refused("nothing that was published arrived")

    return await _tried(hears, what="pub/sub", so="the worker does not begin without it")


async def _keeping(wire: Wire, _: Keys, __: str) -> list[Lack]:
    policy = await _policy(wire)
    if policy in ("", KEEPS):
        return []
    so = "records may be thrown away; set it to noeviction, or use another server"
    return [Lack(what="an eviction policy that keeps", why=f"maxmemory-policy is {policy}", so=so)]


async def _policy(wire: Wire) -> str:
    """ "" where the server does not tell."""
    with suppress(Refused):
        if found := await wire.setting("maxmemory-policy"):
            return found
    with suppress(Refused):
        return await wire.told("memory", "maxmemory_policy")
    return ""


async def _tried(does: Callable[[], Awaitable[None]], *, what: str, so: str) -> list[Lack]:
    try:
        await does()
    except Refused as refusal:
        return [Lack(what=what, why=str(refusal), so=so)]
    return []
