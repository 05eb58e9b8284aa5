"""The error envelope (section 4)."""

from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta

from novita_gpu.contract.fields import Time
from novita_gpu.contract.views import View


class ProblemView(View, frozen=True, kw_only=True):
    code: Annotated[str, Meta(examples=["VALIDATION_ERROR"])]
    message: str
    details: Annotated[Any, Meta(description="Of a validation error: every fault as `{field, message, value?}`.")] = (
        None
    )
    timestamp: Time
    request_id: str
    retryable: bool | None = None
    retry_after_ms: int | None = None


class ProblemAnswer(View, frozen=True, kw_only=True):
    error: ProblemView


def problem_answer(
    code: str,
    message: str,
    *,
    timestamp: str,
    request_id: str,
    details: object = None,
    retryable: bool | None = None,
    retry_after: timedelta | None = None,
) -> ProblemAnswer:
    """The envelope. `retryable` says that the same request may succeed later."""
    return ProblemAnswer(
        error=ProblemView(
            code=code,
            message=message,
            details=details,
            timestamp=timestamp,
            request_id=request_id,
            retryable=retryable,
            retry_after_ms=None if retry_after is None else int(retry_after.total_seconds() * 1000),
        )
    )
