"""What a refusal of the cloud means: one table from (status, reason, text) to an error of the seam.

Reasons are from the cloud's published error table and its console's text map. HTTP numbers alone say little: most
refusals are 400, not-found included, and one 429 is a quota.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from msgspec import Struct

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
    Unreadable,
    WrongState,
)
from novita_gpu.cloud.transport import Response
from novita_gpu.cloud.wire import Fields, decode, is_object, looks_like_page


class Refusal(Struct, frozen=True, kw_only=True):
    """An answer that is not 2xx. `spoken`: the body was a JSON object, so the cloud itself answered, not its door."""

    status: int
    reason: str = ""
    message: str = ""
    spoken: bool = True
    retry_after: timedelta | None = None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CAPACITY_REASONS = _words("INSUFFICIENT_RESOURCE MIGRATE_INSUFFICIENT_RESOURCE")
NOT_FOUND_REASONS = _words("RESOURCE_NOT_FOUND TEMPLATE_NOT_FOUND JOB_NOT_FOUND")
MONEY_REASONS = _words(
    """BALANCE_NOT_ENOUGH DE_BALANCE_NOT_ENOUGH NOT_ENOUGH_BALANCE EXPIRED_OR_BALANCE_NOT_ENOUGH
    NOT_ENOUGH_BUDGET BUDGET_NOT_ENOUGH MEMBER_BUDGET_NOT_ENOUGH WALLET_NOT_FOUND
    CREATE_INSTANCE_LIMIT CREATE_GPU_NUM_LIMIT"""
)
KEY_REASONS = _words(
    """MISSING_API_KEY INVALID_API_KEY FAILED_TO_AUTH ACCESS_DENY FORBIDDEN UNAUTHORIZED PERMISSION_DENIED
    GET_TOKEN_FAILED INVALID_USER_TOKEN BANNED_USER USER_IS_LOCKED USER_NOT_ACTIVATED"""
)
RATE_REASONS = _words("RATE_LIMIT_EXCEEDED LIST_BILL_TOO_FAST SEND_CODE_TOO_FAST")
PLACE_REASONS = _words("CLUSTER_STATUS NODE_STATUS")
STATE_REASONS = PLACE_REASONS | _words(
    "OPERATION_LIMIT CONFLICT DEPENDENT_RESOURCE_STATE CREATING_INSTANCE_NOT_SUPPORT_RENEWAL"
)
REJECTED_REASONS = _words(
    """VALIDATOR_PARAM REQUEST USER_ALREADY_EXISTS INVALID_USER_OR_PASSWORD INVALID_CODE USER_NOT_FOUND
    USER_PHONE_NOT_CONSIST INVALID_PUBLIC_KEY USER_ALREADY_ACTIVATED PREPAID_INSTANCE_NOT_SUPPORT_RELEASE
    INSTANCE_LOCAL_STORAGE_NOT_FOUND INVALID_COMMAND_PARAM GPU_SPEC_USED INCORRECT_USER_SYNCER_REQUIRE_PARAMS
    WALLET_UNSUPPORT_RECHARGE_METHOD ORDER_NOT_FOUND SAVING_PLAN_ALREADY_EXISTS UNSUPPORTED_BILLING_MODE
    NETWORK_STORAGE_TOO_LARGE CUR_CLUSTER_NETWORK_STORAGE_NOT_SUPPORT NETWORK_STORAGE_IN_USE
    NETWORK_STORAGE_UNAVAILABLE NETWORK_STORAGE_NOT_FOUND IMAGE_NOT_FOUND IMAGE_AUTH_IN_USE NETWORK_NOT_FOUND
    NETWORK_IN_USE NETWORK_MAX_LIMIT SEND_MSG_ERROR SERVERLESS_ENDPOINT_NOT_FOUND SERVERLESS_WORKER_NOT_FOUND
    SERVERLESS_PRODUCT_NOT_FOUND SERVERLESS_APP_NAME_IS_EXIST TEMPLATE_IS_PRIVATE INVALID_PRODUCT_CATEGORY
    INVALID_BILL_CYCLE MIGRATION_JOB_NOT_BREAKABLE CUDA_VERSION_INCOMPATIBLE IMAGE_URL_OR_AUTH_ERROR
    IMAGE_TOO_LARGE IMAGE_PREWARM_NUM_LIMIT IMAGE_PREWARM_NO_NODES_AVAILABLE"""
)
# The path does not exist there: the base address is wrong. It says nothing about any machine.
WRONG_ADDRESS_REASONS = _words("API_NOT_FOUND")
# The cloud's own faults, always with a 5xx: nothing is known of the effect.
FAULT_REASONS = _words("UNKNOWN LIST_BILL_ERROR")

_BY_REASON: dict[str, type[CloudError]] = {
    reason: kind
    for reasons, kind in (
        (CAPACITY_REASONS, OutOfCapacity),
        (NOT_FOUND_REASONS, NotFound),
        (MONEY_REASONS, OutOfMoney),
        (KEY_REASONS, Unauthorized),
        (RATE_REASONS, Throttled),
        (STATE_REASONS, WrongState),
        (REJECTED_REASONS, Rejected),
    )
    for reason in reasons
}
KNOWN_REASONS = frozenset(_BY_REASON) | WRONG_ADDRESS_REASONS | FAULT_REASONS

# Without a known reason these speak of the path, not of what was asked for.
_PATH_STATUSES = frozenset({404, 405})
_WORD = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
_QUOTA = re.compile(r"(?:gpu|instance).*quota|quota.*(?:gpu|instance)", re.IGNORECASE)
_SHORT_OF = re.compile(r"insufficient|quota|limit|balance|budget", re.IGNORECASE)


def reason_in(*texts: str) -> str:
    """The first known reason among the texts, each taken as a whole or searched for one word."""
    for text in texts:
        if text in KNOWN_REASONS:
            return text
    return next((word for text in texts for word in _WORD.findall(text) if word in KNOWN_REASONS), "")


# The cloud's text goes into events and problems; more than this tells nobody more.
MESSAGE_LENGTH = 300
# Waiting longer than this at the word of a header would be a standstill.
LONGEST_RETRY_AFTER = timedelta(hours=1)


def read_refusal(response: Response, now: datetime, hide: Callable[[str], str]) -> Refusal:
    """The refusal that a response holds. `hide` takes secrets that the cloud repeats out of its text."""
    body = decode(response.body)
    retry_after = _retry_after(response.headers.get("retry-after", ""), now)
    if not is_object(body):
        what = "a page" if looks_like_page(response.body) else "no JSON"
        message = f"the cloud answered {response.status} with {what}"
        return Refusal(status=response.status, message=message, spoken=False, retry_after=retry_after)
    fields = Fields.of(body)
    given, message = fields.text("reason"), fields.text("message", "error", "msg")
    return Refusal(
        status=response.status,
        reason=hide(given)[:64] or reason_in(fields.text("code"), fields.text("error"), message),
        message=_one_line(hide(message or given)),
        retry_after=retry_after,
    )


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:MESSAGE_LENGTH].strip()


def _retry_after(value: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date, as a time from now; None when it is neither."""
    try:
        wait = timedelta(seconds=float(value)) if value[:1].isdigit() else parsedate_to_datetime(value) - now
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def meaning(refusal: Refusal, *, mutation: bool) -> CloudError:
    """The refusal as an error of the seam."""
    kind = _kind(refusal, mutation=mutation)
    message = refusal.message or f"the cloud answered {refusal.status}"
    return kind(message, reason=refusal.reason, retry_after=refusal.retry_after)


def _kind(refusal: Refusal, *, mutation: bool) -> type[CloudError]:
    if refusal.status >= 500:
        return _of_server_fault(refusal, mutation=mutation)
    if refusal.status == 429:
        return _of_too_many(refusal)
    if known := _BY_REASON.get(refusal.reason):
        return known
    if refusal.status == 401:
        return Unauthorized
    if refusal.status == 403:
        return _of_forbidden(refusal)
    if refusal.status == 408:
        return Ambiguous if mutation else Unreachable
    return _of_text(refusal, mutation=mutation)


def _of_server_fault(refusal: Refusal, *, mutation: bool) -> type[CloudError]:
    # Documented with 500, and before any effect. Every other reason beside a 5xx may have come after the effect.
    if refusal.reason == "WALLET_NOT_FOUND":
        return OutOfMoney
    return Ambiguous if mutation else Unreachable


def _of_too_many(refusal: Refusal) -> type[CloudError]:
    if refusal.reason in MONEY_REASONS or _QUOTA.search(refusal.message):
        return OutOfMoney
    return Throttled


def _of_forbidden(refusal: Refusal) -> type[CloudError]:
    if not refusal.spoken:
        return Unreachable  # Cloudflare at the door (its error 1010 was seen for an unwelcome user agent)
    return OutOfMoney if _SHORT_OF.search(refusal.message) else Unauthorized


def _of_text(refusal: Refusal, *, mutation: bool) -> type[CloudError]:
    text = refusal.message.lower() if refusal.spoken else ""
    if "invalid state change" in text:
        return WrongState
    if "template not found" in text:
        return NotFound
    if refusal.status == 409 and refusal.spoken:
        return WrongState
    asked = refusal.status >= 400 and refusal.status not in _PATH_STATUSES
    if refusal.spoken and asked and refusal.reason not in WRONG_ADDRESS_REASONS:
        return Rejected
    return _misdirected(mutation=mutation)


def _misdirected(*, mutation: bool) -> type[CloudError]:
    # A page, a redirect, an unknown path: the address is wrong, or somebody else answered. Never a not-found.
    return Rejected if mutation else Unreadable
