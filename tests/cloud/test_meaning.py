"""Every refusal that the cloud is known to make, and what it means."""

from datetime import UTC, datetime, timedelta

import pytest

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
from novita_gpu.cloud.meaning import KNOWN_REASONS, Refusal, meaning, read_refusal
from novita_gpu.cloud.transport import Response

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

# The published table and the console's text map. Where both a read and a mutation are named, they differ.
TABLE: dict[tuple[int, str], type[CloudError] | tuple[type[CloudError], type[CloudError]]] = {
    (400, "MISSING_API_KEY"): Unauthorized,
    (403, "INVALID_API_KEY"): Unauthorized,
    (401, "FAILED_TO_AUTH"): Unauthorized,
    (403, "ACCESS_DENY"): Unauthorized,
    (404, "API_NOT_FOUND"): (Unreadable, Rejected),
    (500, "UNKNOWN"): (Unreachable, Ambiguous),
    (400, "GET_TOKEN_FAILED"): Unauthorized,
    (403, "FORBIDDEN"): Unauthorized,
    (401, "UNAUTHORIZED"): Unauthorized,
    (400, "USER_ALREADY_EXISTS"): Rejected,
    (400, "INVALID_USER_OR_PASSWORD"): Rejected,
    (400, "INVALID_CODE"): Rejected,
    (400, "USER_NOT_FOUND"): Rejected,
    (400, "USER_PHONE_NOT_CONSIST"): Rejected,
    (400, "INVALID_PUBLIC_KEY"): Rejected,
    (400, "USER_NOT_ACTIVATED"): Unauthorized,
    (400, "USER_ALREADY_ACTIVATED"): Rejected,
    (400, "INVALID_USER_TOKEN"): Unauthorized,
    (400, "BANNED_USER"): Unauthorized,
    (429, "SEND_CODE_TOO_FAST"): Throttled,
    (429, "RATE_LIMIT_EXCEEDED"): Throttled,
    (400, "RESOURCE_NOT_FOUND"): NotFound,
    (404, "RESOURCE_NOT_FOUND"): NotFound,
    (400, "CONFLICT"): WrongState,
    (400, "VALIDATOR_PARAM"): Rejected,
    (400, "REQUEST"): Rejected,
    (400, "OPERATION_LIMIT"): WrongState,
    (400, "INSUFFICIENT_RESOURCE"): OutOfCapacity,
    (400, "CLUSTER_STATUS"): WrongState,
    (400, "NODE_STATUS"): WrongState,
    (400, "DEPENDENT_RESOURCE_STATE"): WrongState,
    (400, "PREPAID_INSTANCE_NOT_SUPPORT_RELEASE"): Rejected,
    (400, "CREATING_INSTANCE_NOT_SUPPORT_RENEWAL"): WrongState,
    (400, "INSTANCE_LOCAL_STORAGE_NOT_FOUND"): Rejected,
    (400, "INVALID_COMMAND_PARAM"): Rejected,
    (400, "GPU_SPEC_USED"): Rejected,
    (400, "INCORRECT_USER_SYNCER_REQUIRE_PARAMS"): Rejected,
    (400, "MIGRATE_INSUFFICIENT_RESOURCE"): OutOfCapacity,
    (500, "WALLET_NOT_FOUND"): OutOfMoney,
    (400, "WALLET_UNSUPPORT_RECHARGE_METHOD"): Rejected,
    (400, "ORDER_NOT_FOUND"): Rejected,
    (400, "SAVING_PLAN_ALREADY_EXISTS"): Rejected,
    (400, "BALANCE_NOT_ENOUGH"): OutOfMoney,
    (400, "UNSUPPORTED_BILLING_MODE"): Rejected,
    (400, "EXPIRED_OR_BALANCE_NOT_ENOUGH"): OutOfMoney,
    (400, "CREATE_INSTANCE_LIMIT"): OutOfMoney,
    (429, "CREATE_INSTANCE_LIMIT"): OutOfMoney,
    (400, "NETWORK_STORAGE_TOO_LARGE"): Rejected,
    (400, "CUR_CLUSTER_NETWORK_STORAGE_NOT_SUPPORT"): Rejected,
    (400, "NETWORK_STORAGE_IN_USE"): Rejected,
    (400, "NETWORK_STORAGE_UNAVAILABLE"): Rejected,
    (400, "NETWORK_STORAGE_NOT_FOUND"): Rejected,
    (400, "IMAGE_NOT_FOUND"): Rejected,
    (400, "IMAGE_AUTH_IN_USE"): Rejected,
    (400, "NETWORK_NOT_FOUND"): Rejected,
    (400, "NETWORK_IN_USE"): Rejected,
    (400, "NETWORK_MAX_LIMIT"): Rejected,
    (400, "SEND_MSG_ERROR"): Rejected,
    (400, "JOB_NOT_FOUND"): NotFound,
    (400, "SERVERLESS_ENDPOINT_NOT_FOUND"): Rejected,
    (400, "SERVERLESS_WORKER_NOT_FOUND"): Rejected,
    (400, "SERVERLESS_PRODUCT_NOT_FOUND"): Rejected,
    (400, "SERVERLESS_APP_NAME_IS_EXIST"): Rejected,
    (400, "TEMPLATE_IS_PRIVATE"): Rejected,
    (400, "TEMPLATE_NOT_FOUND"): NotFound,
    (429, "LIST_BILL_TOO_FAST"): Throttled,
    (400, "INVALID_PRODUCT_CATEGORY"): Rejected,
    (400, "INVALID_BILL_CYCLE"): Rejected,
    (500, "LIST_BILL_ERROR"): (Unreachable, Ambiguous),
    (400, "MIGRATION_JOB_NOT_BREAKABLE"): Rejected,
    (400, "CUDA_VERSION_INCOMPATIBLE"): Rejected,
    (400, "CREATE_GPU_NUM_LIMIT"): OutOfMoney,
    (429, "CREATE_GPU_NUM_LIMIT"): OutOfMoney,
    (400, "DE_BALANCE_NOT_ENOUGH"): OutOfMoney,
    (400, "IMAGE_URL_OR_AUTH_ERROR"): Rejected,
    (400, "IMAGE_TOO_LARGE"): Rejected,
    (400, "IMAGE_PREWARM_NUM_LIMIT"): Rejected,
    (400, "IMAGE_PREWARM_NO_NODES_AVAILABLE"): Rejected,
    (403, "USER_IS_LOCKED"): Unauthorized,
    (403, "PERMISSION_DENIED"): Unauthorized,
    (403, "NOT_ENOUGH_BALANCE"): OutOfMoney,
    (403, "NOT_ENOUGH_BUDGET"): OutOfMoney,
    (403, "BUDGET_NOT_ENOUGH"): OutOfMoney,
    (400, "MEMBER_BUDGET_NOT_ENOUGH"): OutOfMoney,
    # Reasons that nobody has named yet, or none at all.
    (400, "SOMETHING_NEW"): Rejected,
    (400, ""): Rejected,
    (401, ""): Unauthorized,
    (403, ""): Unauthorized,
    (404, ""): (Unreadable, Rejected),
    (404, "SOMETHING_NEW"): (Unreadable, Rejected),
    (405, ""): (Unreadable, Rejected),
    (408, ""): (Unreachable, Ambiguous),
    (409, ""): WrongState,
    (422, ""): Rejected,
    (429, ""): Throttled,
    (301, ""): (Unreadable, Rejected),
    (500, ""): (Unreachable, Ambiguous),
    (503, ""): (Unreachable, Ambiguous),
    (524, ""): (Unreachable, Ambiguous),
    # A reason beside a 5xx may have come after the effect.
    (500, "INSUFFICIENT_RESOURCE"): (Unreachable, Ambiguous),
    (500, "RESOURCE_NOT_FOUND"): (Unreachable, Ambiguous),
}


@pytest.mark.parametrize("mutation", [False, True])
@pytest.mark.parametrize(("status", "reason"), TABLE)
def test_meaning_of_a_reason(status: int, reason: str, mutation: bool) -> None:
    expected = TABLE[status, reason]
    kind = expected if isinstance(expected, type) else expected[mutation]
    assert type(meaning(Refusal(status=status, reason=reason, message="text"), mutation=mutation)) is kind


def test_the_table_names_every_known_reason() -> None:
    assert {reason for _, reason in TABLE} >= KNOWN_REASONS


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid state change", WrongState),
        (400, "Invalid State Change: running", WrongState),
        (400, "template not found", NotFound),
        (400, "resource not fount", Rejected),
        (400, "instance not found", Rejected),
        (404, "instance not found", Unreadable),
        (403, "insufficient quota for this account", OutOfMoney),
        (429, "GPU instance quota exceeded", OutOfMoney),
        (429, "request rate limit", Throttled),
    ],
)
def test_meaning_of_a_text_without_a_reason(status: int, message: str, kind: type[CloudError]) -> None:
    assert type(meaning(Refusal(status=status, message=message), mutation=False)) is kind


@pytest.mark.parametrize("mutation", [False, True])
def test_a_page_at_the_door_is_unreachable_and_never_not_found(mutation: bool) -> None:
    def kind(status: int) -> type[CloudError]:
        return type(meaning(Refusal(status=status, message="RESOURCE_NOT_FOUND", spoken=False), mutation=mutation))

    assert kind(403) is Unreachable
    assert kind(404) is (Rejected if mutation else Unreadable)
    assert kind(400) is (Rejected if mutation else Unreadable)


def _read(body: bytes, status: int = 400, headers: dict[str, str] | None = None) -> Refusal:
    return read_refusal(Response(status=status, headers=headers or {}, body=body), NOW, lambda text: text)


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b'{"code":400,"reason":"CONFLICT","message":"m"}', "CONFLICT", "m"),
        (b'{"message":"only text"}', "", "only text"),
        (b'{"error":"text"}', "", "text"),
        (b'{"reason":"CONFLICT"}', "CONFLICT", "CONFLICT"),
        (b'{"code":"INSUFFICIENT_RESOURCE"}', "INSUFFICIENT_RESOURCE", ""),
        (b'{"message":"rpc error: INSUFFICIENT_RESOURCE here"}', "INSUFFICIENT_RESOURCE", None),
        (b'{"reason":null,"message":null,"code":null}', "", ""),
        (b'{"reason":["x"],"message":{"a":1}}', "", ""),
        (b"{}", "", ""),
    ],
)
def test_bodies_of_refusals(body: bytes, reason: str, message: str | None) -> None:
    refusal = _read(body)
    assert refusal.spoken
    assert refusal.reason == reason
    assert message is None or refusal.message == message


@pytest.mark.parametrize("body", [b"<html>RESOURCE_NOT_FOUND</html>", b"error code: 1010", b"", b"[1]", b"\xff\xfe"])
def test_what_is_no_json_object_has_no_reason(body: bytes) -> None:
    refusal = _read(body)
    assert not refusal.spoken
    assert refusal.reason == ""
    assert "1010" not in refusal.message


def test_long_and_multiline_texts_are_cut() -> None:
    refusal = _read(b'{"message":"' + b"a\\n" * 1000 + b'"}')
    assert len(refusal.message) <= 300
    assert "\n" not in refusal.message


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta(0)),
        ("1.5", timedelta(seconds=1.5)),
        ("Fri, 02 Jan 2026 12:00:10 GMT", timedelta(seconds=10)),
        ("Fri, 02 Jan 2026 11:00:00 GMT", timedelta(0)),
        ("999999999", timedelta(hours=1)),
        ("1e999", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after(header: str, wait: timedelta | None) -> None:
    assert _read(b"{}", 429, {"retry-after": header}).retry_after == wait
