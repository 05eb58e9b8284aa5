"""The one place that speaks to the server: untyped answers become values here, and its faults become `Unavailable`.

Every write of the store may be repeated without doing anything twice, so a command whose connection broke is sent
again. One that found no answer in time is not: the server hangs, and the caller has a deadline of its own.
"""

from asyncio import Event, Timeout, get_running_loop, timeout
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import NoScriptError, RedisError, ResponseError

from novita_gpu.observe import STORE, spent
from novita_gpu.store.base import Refused, Unavailable

Word = str | bytes | int
Entry = tuple[int, dict[bytes, bytes]]

# Answers come within milliseconds; a server that hangs longer is as good as gone. Below a second a slow disk would
# look like an outage.
ANSWER_WITHIN_S = 5.0
# A server that takes so long for what does not block is doubted: whoever minds looks whether it is there at all.
DOUBT_AFTER_S = 1.0
# Keys that one step of a look at the whole store passes. Fewer, and it takes long; more, and others wait for it.
SCANNED = 1_000
# The longest blocking read. Shorter: an idle plane asks more often; longer: what cuts idle connections cuts this one.
BLOCK_AT_MOST_S = 30.0
# Commands at once; the next wait for a place. Far above what one process keeps busy.
CONNECTIONS = 64
# A command whose connection broke is sent again so often.
REPEATS = 2
# The one command that blocks.
WAITS = "XREAD"


class Script:
    """Lua that runs as one transaction. `names` are files of `lua/`, joined in this order. Read where it is named, at
    import: nobody waits for a disk later. The last names it.
    """

    def __init__(self, *names: str) -> None:
        self.name = names[-1]
        folder = files("novita_gpu.store").joinpath("lua")
        self.text = "\n".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in names)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def clients(url: str) -> tuple[Redis, Redis]:
    """For commands, and for the one that waits for news, asked once: a server that went may come back empty."""
    return connect(url), connect(url, connections=4, repeats=0)


def connect(url: str, *, connections: int = CONNECTIONS, repeats: int = REPEATS) -> Redis:
    """A client of the server at `url`. Nothing is sent before the first command.

    It has no time-out of its own for answers: `Wire` sets it. With one, redis-py sends through `asyncio.wait_for`,
    which before Python 3.12 swallows a cancellation that comes as the sending ends: the task goes on for ever.
    """
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        max_connections=connections,
        timeout=ANSWER_WITHIN_S,
        socket_timeout=None,
        socket_connect_timeout=ANSWER_WITHIN_S,
        protocol=2,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), repeats, supported_errors=(ConnectionBroken,)),
    )
    return Redis.from_pool(pool)


class Wire:
    """Commands as typed calls. Raises only `Unavailable`: at once, or when there was no answer in time.

    Its kind `Refused` says that the server answered with an error.
    """

    def __init__(self, redis: Redis, waiting: Redis | None = None) -> None:
        """`waiting` is asked what blocks."""
        self._at(redis, waiting or redis)
        self._under_way: set[Timeout] = set()
        self._open = Event()
        self._open.set()
        self._on_fault: Callable[[], None] = _nothing
        self.turns = 0  # how often it was turned to another server
        self.is_away = False  # that one is private, as the shared one is out

    async def close(self) -> None:
        await self._redis.aclose()
        await self._waiting.aclose()

    def on_fault(self, told: Callable[[], None]) -> None:
        """Calls `told` whenever the server did not answer, or takes long for it."""
        self._on_fault = told

    def hold(self) -> None:
        """Commands wait from here on, each as long as it would wait for its answer."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def turn_to(self, url: str) -> None:
        """Commands go to another server from here on. What waits for an answer of the one before gets none."""
        before = (self._redis, self._waiting)
        self._at(*clients(url))
        self.turns += 1
        now = get_running_loop().time()
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(now)
        self.let_go()
        for client in before:
            with suppress(RedisError, OSError):
                await client.aclose()

    def _at(self, redis: Redis, waiting: Redis) -> None:
        self._redis, self._waiting = redis, waiting
        self._words, self._waiting_words = _words_of(redis), _words_of(waiting)

    @asynccontextmanager
    async def _answered(self, within_s: float) -> AsyncGenerator[None]:
        """The one place where faults become `Unavailable`."""
        try:
            with spent(STORE):
                async with timeout(within_s) as limit:
                    await self._open.wait()
                    limit.reschedule(get_running_loop().time() + within_s)  # what was held has all its time
                    self._under_way.add(limit)
                    doubt = get_running_loop().call_later(within_s - ANSWER_WITHIN_S + DOUBT_AFTER_S, self._on_fault)
                    try:
                        yield
                    finally:
                        doubt.cancel()
                        self._under_way.discard(limit)
        except ResponseError as fault:
            self._on_fault()
            raise Refused(f"the store refuses: {fault}") from fault
        except (RedisError, OSError, TimeoutError) as fault:
            self._on_fault()
            raise Unavailable(f"the store does not answer: {str(fault) or 'not in time'}") from fault

    async def _send(self, *words: Word, within_s: float = ANSWER_WITHIN_S) -> Any:
        send = self._waiting_words if words[0] == WAITS else self._words
        async with self._answered(within_s):
            return await send(*words)

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        async with self._answered(ANSWER_WITHIN_S):
            try:
                return await self._words("EVALSHA", script.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self._words("EVAL", script.text, len(keys), *keys, *args)

    async def verdict(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> list[bytes]:
        """What a script answers as a list of words."""
        return cast("list[bytes]", await self._run(script, keys, args))

    async def number(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> int:
        """What a script answers as a whole number."""
        return int(await self._run(script, keys, args))

    async def value(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> bytes | None:
        """What a script answers as one word, or nothing."""
        return cast("bytes | None", await self._run(script, keys, args))

    async def table(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> list[list[bytes | None]]:
        """What a script answers as rows."""
        return cast("list[list[bytes | None]]", await self._run(script, keys, args))

    async def ping(self) -> None:
        await self._send("PING")

    async def setting(self, name: str) -> str:
        """A setting of the server, "" where it does not tell."""
        found = cast("dict[str, str]", await self._send("CONFIG GET", name))
        return str(found.get(name, ""))

    async def told(self, section: str, name: str) -> str:
        """A line of the server's INFO, "" where it has none."""
        found = cast("dict[str, object]", await self._send("INFO", section))
        return str(found.get(name, ""))

    async def ask(self, *words: Word) -> Any:
        """Any command, to try whether the server does it."""
        return await self._send(*words)

    async def hears_itself(self, pattern: str, channel: str, within_s: float) -> bool:
        """What is published on that channel arrives where the pattern is listened to."""
        ears = self._redis.pubsub()  # pyright: ignore[reportUnknownMemberType]
        async with self._answered(within_s + ANSWER_WITHIN_S), ears:
            await ears.psubscribe(pattern)
            await ears.get_message(timeout=ANSWER_WITHIN_S)
            await self._words("PUBLISH", channel, b"")
            return await ears.get_message(ignore_subscribe_messages=True, timeout=within_s) is not None

    async def shut_down(self) -> None:
        """Ends the server. It does not answer, so this raises `Unavailable` when it worked."""
        await self._send("SHUTDOWN", "NOSAVE")

    async def get(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._send("GET", key))

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return cast("list[bytes | None]", await self._send("MGET", *keys)) if keys else []

    async def put(self, key: str, value: Word, ttl_ms: int | None = None) -> None:
        await self._send("SET", key, value, *(("PX", ttl_ms) if ttl_ms is not None else ()))

    async def expire(self, key: str, ttl_ms: int) -> bool:
        """The key ends after that time. False: there is none."""
        return bool(await self._send("PEXPIRE", key, ttl_ms))

    async def delete(self, key: str) -> None:
        await self._send("DEL", key)

    async def hgetall(self, key: str) -> Mapping[bytes, bytes]:
        return cast("dict[bytes, bytes]", await self._send("HGETALL", key))

    async def hmget(self, key: str, *fields: str) -> list[bytes | None]:
        return cast("list[bytes | None]", await self._send("HMGET", key, *fields))

    async def members(self, key: str) -> set[bytes]:
        """All members of a set."""
        return cast("set[bytes]", await self._send("SMEMBERS", key))

    async def zrange(self, key: str, *words: Word) -> list[bytes]:
        """Members of a sorted set; `words` as ZRANGE takes them after its key."""
        return cast("list[bytes]", await self._send("ZRANGE", key, *words))

    async def zrange_scores(self, key: str, *words: Word) -> list[tuple[bytes, float]]:
        """Members of a sorted set with their scores."""
        flat = cast("list[bytes]", await self._send("ZRANGE", key, *words, "WITHSCORES"))
        return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]

    async def zrem(self, key: str, members: Sequence[Word]) -> None:
        if members:
            await self._send("ZREM", key, *members)

    async def entries(self, key: str, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries of a numbered stream with numbers above `after`, in order."""
        return _numbered(await self._send("XRANGE", key, f"({after}-0", "+", "COUNT", limit))

    async def wait_for_entries(self, key: str, after: int, limit: int, block_ms: int) -> list[Entry]:
        """As `entries`, waiting up to `block_ms` for the first."""
        words: tuple[Word, ...] = ("COUNT", limit, "BLOCK", block_ms, "STREAMS", key, f"{after}-0")
        answer = await self._send(WAITS, *words, within_s=block_ms / 1000 + ANSWER_WITHIN_S)
        return _numbered(answer[0][1]) if answer else []

    async def trim(self, key: str, below: int) -> None:
        """Removes the entries of a numbered stream with numbers below `below`."""
        await self._send("XTRIM", key, "MINID", f"{below}-0")

    async def keys(self, pattern: str) -> list[bytes]:
        """Every key that matches, found in small steps. For looking at the whole store, not for serving."""
        found: list[bytes] = []
        cursor: int = 0
        while True:
            answer = await self._send("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED)
            cursor, page = cast("tuple[int, list[bytes]]", answer)
            found += page
            if not cursor:
                return found

    async def ttl_ms(self, key: str) -> int:
        """-1: it has none; -2: there is no such key."""
        return int(await self._send("PTTL", key))


def _words_of(redis: Redis) -> Callable[..., Awaitable[Any]]:
    return cast("Callable[..., Awaitable[Any]]", redis.execute_command)  # pyright: ignore[reportUnknownMemberType]


def _nothing() -> None: ...


def _numbered(entries: Any) -> list[Entry]:
    return [(int(entry_id.split(b"-")[0]), cast("dict[bytes, bytes]", fields)) for entry_id, fields in entries]
