"""Every error as the public envelope. This is the one table from codes to HTTP."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR

from novita_gpu import observe
from novita_gpu.cloud.base import (
    Ambiguous,
    CloudError,
    OutOfCapacity,
    Throttled,
    Unauthorized,
    Unreachable,
)
from novita_gpu.contract import encode, problem_answer, time_text
from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.store.base import ClaimLost, StoreError
from novita_gpu.store.index import BadCursor

log = observe.logger(__name__)

HTTP_OF: Mapping[str, int] = {
    "VALIDATION_ERROR": 400,
    "INVALID_JSON": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "INSTANCE_NOT_FOUND": 404,
    "TEMPLATE_NOT_FOUND": 404,
    "PRODUCT_NOT_FOUND": 404,
    "REGISTRY_AUTH_NOT_FOUND": 404,
    "CACHE_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "WAIT_TIMEOUT": 408,
    "INSTANCE_ALREADY_EXISTS": 409,
    "INSTANCE_NOT_STARTABLE": 409,
    "INSTANCE_NOT_STOPPABLE": 409,
    "INSTANCE_NOT_RUNNING": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "BODY_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "LIMIT_REACHED": 422,
    "NO_OFFER": 422,
    "PRICE_TOO_HIGH": 422,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "WEBHOOK_URL_REFUSED": 422,
    "RATE_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "NOVITA_API_ERROR": 502,
    "NOVITA_AUTH_FAILED": 502,
    "CIRCUIT_BREAKER_OPEN": 503,
    "STORE_UNAVAILABLE": 503,
    "NOVITA_TIMEOUT": 504,
}
# The same request may succeed later; until when is a guess where nobody said it.
RETRY_AFTER: Mapping[str, timedelta] = {
    "WAIT_TIMEOUT": timedelta(0),
    "IDEMPOTENCY_IN_PROGRESS": timedelta(seconds=1),
    "RATE_LIMIT_EXCEEDED": timedelta(seconds=5),
    "STORE_UNAVAILABLE": timedelta(seconds=2),
    "CIRCUIT_BREAKER_OPEN": timedelta(seconds=15),
    "NOVITA_API_ERROR": timedelta(seconds=5),
    "NOVITA_TIMEOUT": timedelta(seconds=5),
    "NOVITA_AUTH_FAILED": timedelta(seconds=60),
}
# What the server itself refuses, by its HTTP status.
_OF_SERVER = {
    400: ("VALIDATION_ERROR", "The request cannot be understood."),
    404: ("NOT_FOUND", "There is nothing at this path."),
    405: ("METHOD_NOT_ALLOWED", "This path does not take this method; Allow names those that it takes."),
    413: ("BODY_TOO_LARGE", "The body is larger than 1 MiB."),
}
# A client that hung up while it was sending.
_HUNG_UP = "client disconnected prematurely"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A finished answer. `kept`: it is stored already for its Idempotency-Key.

    `again`: what is stored in its place, where it holds a secret that is told once.
    `retryable`: the same request may succeed later, so this is no answer to keep. `problem`: what it tells of.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    kept: bool = False
    again: bytes = b""
    retryable: bool = False
    media_type: str = "application/json"
    problem: Problem | None = None


def problem_of(error: Exception) -> Problem:
    """What an error means to the caller. An error that nobody foresaw is `INTERNAL_ERROR`, without details."""
    match error:
        case Problem() if error.code in HTTP_OF:
            return error
        case BadCursor():
            return Invalid(Fault(field="cursor", message="was not answered by this API"))
        case ClaimLost():
            return Problem("IDEMPOTENCY_IN_PROGRESS", "Another request has this Idempotency-Key; ask again.")
        case StoreError():
            return Problem("STORE_UNAVAILABLE", "The store does not answer; nothing was changed that is not told here.")
        case CloudError():
            return _of_cloud(error)
        case HTTPException() if error.status_code in _OF_SERVER:
            return Problem(*_OF_SERVER[error.status_code])
        case HTTPException() if error.detail == _HUNG_UP:
            return Problem("VALIDATION_ERROR", "The body did not arrive.")
        case _:
            return Problem("INTERNAL_ERROR", "Something went wrong here. The log has it under this request's id.")


def _of_cloud(error: CloudError) -> Problem:
    code = "NOVITA_API_ERROR"
    match error:
        case Unauthorized():
            return Problem("NOVITA_AUTH_FAILED", "The cloud does not accept this service's key.")
        case OutOfCapacity():
            return Problem("NO_OFFER", error.message)
        case Unreachable() if error.reason == "CIRCUIT_OPEN":
            code = "CIRCUIT_BREAKER_OPEN"
        case Unreachable() | Ambiguous():
            code = "NOVITA_TIMEOUT"
        case _:
            pass
    return Problem(code, error.message, retry_after=error.retry_after)


def answered(error: Exception, *, request_id: str, now: datetime) -> Answered:
    """The error as an answer; what nobody foresaw is logged with its trace, and what was refused for safety's sake."""
    problem = problem_of(error)
    code = 503 if isinstance(error, Throttled) else HTTP_OF[problem.code]
    if code == HTTP_500_INTERNAL_SERVER_ERROR:
        log.error("request.failed", request_id=request_id, exc_info=error)
    elif code > HTTP_500_INTERNAL_SERVER_ERROR:
        log.warning("request.unavailable", request_id=request_id, code=problem.code, reason=str(error))
    elif problem.code == "WEBHOOK_URL_REFUSED":
        log.warning("address.refused", category=observe.SECURITY, request_id=request_id)
    retryable = problem.code in RETRY_AFTER
    pause = problem.retry_after or RETRY_AFTER.get(problem.code)
    envelope = problem_answer(
        problem.code,
        problem.message,
        timestamp=time_text(now),
        request_id=request_id,
        details=problem.details,
        retryable=True if retryable else None,
        retry_after=pause or None,
    )
    headers = _headers(problem, error, pause)
    return Answered(status=code, body=encode(envelope), headers=headers, retryable=retryable, problem=problem)


def _headers(problem: Problem, error: Exception, pause: timedelta | None) -> dict[str, str]:
    headers = {"cache-control": "private, no-store"}
    if pause:
        headers["retry-after"] = str(math.ceil(pause.total_seconds()))
    if problem.code == "UNAUTHORIZED":
        headers["www-authenticate"] = 'Bearer realm="novita-gpu"'
    if isinstance(error, HTTPException) and error.headers:
        headers |= {name.lower(): value for name, value in error.headers.items()}
    return headers
