"""How the cloud says no: HTTP status, machine-readable reason, human text."""

import msgspec
from msgspec import Struct


class Answer(Struct, frozen=True):
    """One HTTP answer, as it goes over the wire."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""


class Refused(Exception):
    """The cloud declines a call. The body has `code`, `reason`, `message`, `metadata` (inferred: go-kratos)."""

    def __init__(self, reason: str, message: str, *, status: int = 400, metadata: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.reason = reason
        self.message = message
        self.status = status
        self.metadata = metadata or {}

    def answer(self, headers: dict[str, str] | None = None) -> Answer:
        """The refusal on the wire."""
        body = {"code": self.status, "reason": self.reason, "message": self.message, "metadata": self.metadata}
        return Answer(self.status, {"Content-Type": "application/json"} | (headers or {}), msgspec.json.encode(body))


class ConnectionCut(Exception):
    """The connection is torn before any answer; whether the call had an effect is not told."""


class NoAnswer(Exception):
    """The connection stays open and silent; the caller's deadline is what ends it."""


def answer_json(value: object, status: int = 200) -> Answer:
    """Any value as a JSON answer."""
    return Answer(status, {"Content-Type": "application/json"}, msgspec.json.encode(value))


def invalid(message: str) -> Refused:
    """A parameter is missing or out of bounds: 400 `VALIDATOR_PARAM`."""
    return Refused("VALIDATOR_PARAM", message)


def out_of_stock() -> Refused:
    """No free GPU for a create or a start: 400 `INSUFFICIENT_RESOURCE`."""
    return Refused("INSUFFICIENT_RESOURCE", "insufficient resource")


def out_of_money() -> Refused:
    """The balance does not allow a create or a start: 400 `BALANCE_NOT_ENOUGH`."""
    return Refused("BALANCE_NOT_ENOUGH", "balance is not enough")
