"""Instances as bytes, made once for each state of a record and each right to see it."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from novita_gpu.contract import encode, instance_view
from novita_gpu.control.caches import CacheStats
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.idle import DEFAULT, IdlePolicy
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.domain.value import Value

JSON = "application/json"
# Instances kept ready, some 2 kB each. Too small: a list of all encodes again what it encoded a moment ago.
KEPT = 10_000
# The cost of a running machine is as of the begun minute, so that its bytes and its ETag hold that long.
COST_STEP = timedelta(minutes=1)


class Stamp(Value, frozen=True, kw_only=True):
    """What the bytes were made of. Two stores may count revisions alike; they do not write at the same instant."""

    revision: int
    updated_at: datetime
    heard: Heard
    as_of: datetime


class Prepared:
    """The bytes of instances, the most recently asked ones first to stay."""

    def __init__(self, idle: IdlePolicy = DEFAULT, kept: int = KEPT) -> None:
        self._idle, self._kept = idle, kept
        self._bodies: OrderedDict[tuple[InstanceId, bool], tuple[Stamp, bytes]] = OrderedDict()
        self._hits = self._misses = self._evictions = 0

    def stats(self) -> CacheStats:
        times = sorted(stamp.as_of for stamp, _ in self._bodies.values())
        return CacheStats(
            size=len(self._bodies),
            hits=self._hits,
            misses=self._misses,
            evictions=self._evictions,
            bytes=sum(len(body) for _, body in self._bodies.values()),
            oldest_at=times[0] if times else None,
            newest_at=times[-1] if times else None,
        )

    def fault(self) -> str:
        return ""

    def forget(self, until: datetime) -> None:  # noqa: ARG002 (they are made of what is in memory)
        self._bodies.clear()

    async def forget_kept(self) -> None: ...

    def body(self, record: Record, heard: Heard, *, secrets: bool, now: datetime) -> bytes:
        """The public JSON of one instance."""
        as_of = _step(now) if record.bill.since else record.updated_at
        stamp = Stamp(
            revision=record.revision,
            updated_at=record.updated_at,
            heard=heard,
            as_of=max(as_of, record.updated_at),
        )
        place = (record.id, secrets)
        found = self._bodies.get(place)
        if found and found[0] == stamp:
            self._hits += 1
            self._bodies.move_to_end(place)
            return found[1]
        self._misses += 1
        body = encode(instance_view(record, heard=heard, idle=self._idle, secrets=secrets, as_of=stamp.as_of))
        self._bodies[place] = (stamp, body)
        self._bodies.move_to_end(place)
        if len(self._bodies) > self._kept:
            self._bodies.popitem(last=False)
            self._evictions += 1
        return body


def _step(now: datetime) -> datetime:
    return now - timedelta(seconds=now.timestamp() % COST_STEP.total_seconds())


def etag_of(body: bytes) -> str:
    """A strong tag: another body has another."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def is_known(if_none_match: str | None, etag: str) -> bool:
    """The caller has this very body already (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", etag) for tag in tags)


def tagged(
    request: Request[Any, Any, Any], body: bytes, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> ASGIResponse:
    """The body with its ETag, or 304 when the caller has it as it is."""
    etag = etag_of(body)
    told = {**(headers or {}), "etag": etag}
    if is_known(request.headers.get("if-none-match"), etag):
        return ASGIResponse(status_code=304, headers=told)
    return ASGIResponse(body=body, media_type=media_type, headers=told)
