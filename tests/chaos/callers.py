"""People under whose hands services die: each asks until there is an answer, and remembers what was promised."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

import msgspec

from novita_gpu.client import Accepted, ApiError, Client, NotReachable, Retry
from novita_gpu.client.transport import Call
from tests.plane import IMAGE, KEY, PRODUCT

T = TypeVar("T")
TIMEOUT = timedelta(seconds=15)
AGAIN_S = (0.05, 0.4)
# Between two requests of one person.
PAUSE_S = (0.2, 2.0)
# How often each wish is chosen; the rest of the time they say that it is in use, or ask for it.
VERBS = {"start": 4, "stop": 4, "restart": 3, "delete": 2, "last_used": 2, "get": 1, "replay": 1}
PROMISED = {"start": "ready", "stop": "stopped", "restart": "ready", "delete": "deleted"}
REFUSED = 409
TAKEN = "INSTANCE_ALREADY_EXISTS"
PORTS = ({"port": 8080, "type": "http"},)


class UntilAnswered(Retry, frozen=True, kw_only=True):
    """Asks again, with the same key, whatever says nothing of the request itself. A bug of the service is an answer.

    `vain` collects what said nothing: when, of which path, and what it said.
    """

    vain: list[tuple[float, str, str]] = msgspec.field(default_factory=list[tuple[float, str, str]])

    def pause(self, error: ApiError | NotReachable, call: Call, tried: int, jitter: float) -> timedelta | None:
        soon = timedelta(seconds=AGAIN_S[0] + (AGAIN_S[1] - AGAIN_S[0]) * jitter)
        self.vain.append((time.monotonic(), call.path, f"{getattr(error, 'code', '')} {error}"))
        if isinstance(error, NotReachable):
            return soon
        is_none = error.status in {429, 502, 503, 504} or error.code == "IDEMPOTENCY_IN_PROGRESS"
        return (error.retry_after or soon) if is_none else None


def client_of(port: int, retry: UntilAnswered | None = None) -> Client:
    return Client(f"http://127.0.0.1:{port}", KEY, timeout=TIMEOUT, retry=retry or UntilAnswered())


@dataclass
class Promises:
    """By instance id, the status that its last accepted wish leads to; and how many requests were answered how.

    `operations` are of all wishes that were accepted, `beats` the last heartbeat of each instance. `slowest`: of each
    verb the longest time until there was an answer, and when that came, by the monotonic clock. `forgotten`: from when
    to when it was asked in vain for an answer that had been given.
    """

    wanted: dict[str, str] = field(default_factory=dict[str, str])
    answers: Counter[str] = field(default_factory=Counter[str])
    operations: set[str] = field(default_factory=set[str])
    beats: dict[str, datetime] = field(default_factory=dict[str, datetime])
    slowest: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    forgotten: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])
    broken: list[str] = field(default_factory=list[str])


class Person:
    """Has one name, and one instance at a time under it. `order` is what it asks for besides."""

    def __init__(
        self,
        client: Client,
        name: str,
        seed: str,
        promises: Promises,
        *,
        pause_s: tuple[float, float] = PAUSE_S,
        **order: Any,
    ) -> None:
        self._client, self._name, self._promises = client, name, promises
        self._pause_s, self._order = pause_s, order
        self._rng = Random(f"{seed} {name}")  # noqa: S311 - the same choices at each run
        self._instance: str | None = None
        self._creates = 0
        self._first: Accepted | None = None

    async def go_on(self, is_over: Callable[[], bool]) -> None:
        """Until it is over; the last request is answered first."""
        while not is_over():
            await self._act()
            await asyncio.sleep(self._rng.uniform(*self._pause_s))

    async def _act(self) -> None:
        if self._instance is None:
            await self._begin()
            return
        (verb,) = self._rng.choices(list(VERBS), list(VERBS.values()))
        match verb:
            case "replay":
                await self._replay()
            case "get":
                await self._answered(verb, self._client.get(self._instance))
            case "last_used":
                used = await self._answered(verb, self._client.last_used(self._instance))
                if used and used.last_used_at:
                    self._promises.beats[self._instance] = used.last_used_at
            case _:
                await self._wish(verb, self._instance)

    async def _begin(self) -> None:
        """One create; sometimes sent twice at the same moment, or beside a second one with a key of its own."""
        self._creates += 1
        key = f"{self._name}-{self._creates}"
        keys = self._rng.choice(([key], [key, key], [key, f"{key}-rival"]))
        answers = await asyncio.gather(*(self._answered("create", self._create(key)) for key in keys))
        made = {answer.instance_id: answer for answer in answers if answer}
        if len(made) > 1:
            self._promises.broken.append(f"{self._name}: creates with {keys} made {sorted(made)}")
        for instance, answer in made.items():
            self._instance, self._first = instance, answer
            self._key = next(key for key, one in zip(keys, answers, strict=True) if one is answer)
            self._promises.wanted[instance] = "ready"

    async def _create(self, key: str) -> Accepted:
        return await self._client.create(
            self._name,
            product_name=PRODUCT,
            image_url=IMAGE,
            ports=PORTS,  # pyright: ignore[reportArgumentType]
            idempotency_key=key,
            **self._order,
        )

    async def _replay(self) -> None:
        """The first answer again, whatever has become of the instance since."""
        asked = time.monotonic()
        again = await self._answered("replay", self._create(self._key))
        first = self._first
        assert first
        if again is None:
            self._promises.forgotten.append((asked, time.monotonic(), f"{self._name}: {self._key} gave {first}"))
        elif (again.instance_id, again.operation_id) != (first.instance_id, first.operation_id):
            self._promises.broken.append(f"{self._name}: {self._key} gave {first} and then {again}")

    async def _wish(self, verb: str, instance: str) -> None:
        """By its id: what is sent late never meets a later instance of the same name."""
        answer = await self._answered(verb, getattr(self._client, verb)(instance))
        if answer is None:
            return
        self._promises.wanted[instance] = PROMISED[verb]
        if verb == "delete":
            self._instance = None

    async def _answered(self, verb: str, asking: Awaitable[T]) -> T | None:
        """None: refused."""
        asked = time.monotonic()
        try:
            answer = await asking
        except ApiError as error:
            if error.status != REFUSED:
                self._promises.broken.append(f"{self._name}: {verb} was answered {error.status} {error}")
            self._promises.answers[f"{verb} refused"] += 1
            return None
        finally:
            took, at = time.monotonic() - asked, time.monotonic()
            self._promises.slowest[verb] = max((took, at), self._promises.slowest.get(verb, (0.0, 0.0)))
        self._promises.answers[verb] += 1
        if isinstance(answer, Accepted):
            self._promises.operations.add(answer.operation_id)
        return answer
