"""The cloud's errors, told as the meaning that an answer has for a record."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from novita_gpu.cloud.base import (
    Ambiguous,
    CloudError,
    NotFound,
    OutOfCapacity,
    OutOfMoney,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    Withdrawn,
    WrongState,
)
from novita_gpu.domain.answers import Meaning, Reply
from novita_gpu.domain.instance import CloudId

_MEANINGS: tuple[tuple[type[CloudError], Meaning], ...] = (
    (OutOfCapacity, Meaning.CAPACITY),
    (NotFound, Meaning.NOT_FOUND),
    (WrongState, Meaning.WRONG_STATE),
    (Withdrawn, Meaning.WITHDRAWN),
    (Rejected, Meaning.REJECTED),
    (Unauthorized, Meaning.HELD),
    (OutOfMoney, Meaning.HELD),
    (Throttled, Meaning.LATER),
    (Unreachable, Meaning.LATER),
    (Ambiguous, Meaning.UNKNOWN),
)


def reply_of(error: CloudError, at: datetime) -> Reply:
    """An error that has no meaning of its own leaves the effect unknown: the safe side."""
    meaning = next((m for kind, m in _MEANINGS if isinstance(error, kind)), Meaning.UNKNOWN)
    return Reply(meaning=meaning, at=at, message=error.message, retry_after=error.retry_after)


async def replied(call: Awaitable[CloudId | None], now: Callable[[], datetime]) -> Reply:
    """The answer of a mutation, whatever it is."""
    try:
        machine = await call
    except CloudError as error:
        return reply_of(error, now())
    return Reply(meaning=Meaning.DONE, at=now(), machine=machine)
