"""For how long an instance has run on demand that was asked for as spot, and when that is told of."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.value import Value

# It is told of at once, and again so long after.
TOLD_EVERY = timedelta(days=1)


class Dearer(Value, frozen=True, kw_only=True):
    """`since`: it is so now. `before`: how long it was so before that."""

    since: datetime | None = None
    before: timedelta = timedelta(0)
    told_at: datetime | None = None


def counted(dearer: Dearer, at: datetime, *, is_so: bool) -> Dearer:
    """Begun or ended at `at`, if it is otherwise than before."""
    if is_so == (dearer.since is not None):
        return dearer
    if dearer.since is None:
        return replace(dearer, since=at)
    return replace(dearer, since=None, before=in_all(dearer, at))


def tell_at(dearer: Dearer) -> datetime | None:
    """When it is to be told of; None while it is not so."""
    if dearer.since is None:
        return None
    return max(dearer.since, dearer.told_at + TOLD_EVERY) if dearer.told_at else dearer.since


def in_all(dearer: Dearer, now: datetime) -> timedelta:
    """How long it has been so."""
    return dearer.before + (max(now - dearer.since, timedelta(0)) if dearer.since else timedelta(0))
