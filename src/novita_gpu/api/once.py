"""Requests that begin something: at most once for each Idempotency-Key."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from novita_gpu import observe
from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.edge import ids_of
from novita_gpu.api.guard import caller_of, principal_of
from novita_gpu.api.problems import Answered, answered
from novita_gpu.api.reading import body_of
from novita_gpu.contract import Outcome, View, answer_of, encode
from novita_gpu.control.commands import Caller
from novita_gpu.domain.errors import Conflicting, Fault, Invalid, Refused
from novita_gpu.store.base import Answer, Claim, Claimed, StoreError
from novita_gpu.store.idempotency import Claims

log = observe.logger(__name__)

Act = Callable[[Caller], Awaitable[Answered]]
# An answer with one of these, or one to try again, says nothing of the request itself: the key stays free.
NOT_KEPT = frozenset({401, 403})
SOON = timedelta(seconds=1)


async def wish(request: Request[Any, Any, Any], act: Callable[[Caller], Awaitable[Outcome]]) -> ASGIResponse:
    """A wish about an instance, answered with `Accepted`."""

    async def run(caller: Caller) -> Answered:
        outcome = await act(caller)
        observe.bind(instance_id=outcome.accepted.instance_id, operation_id=outcome.accepted.operation_id)
        status, body = answer_of(outcome)
        headers = {"location": f"/api/instances/{outcome.accepted.instance_id}"} if outcome.created else {}
        return Answered(status=status, body=body, headers=headers, kept=outcome.kept)

    return await once(request, run)


async def once(request: Request[Any, Any, Any], act: Act) -> ASGIResponse:
    """Runs `act`, or gives the answer again that it had for the same key and body within 24 h."""
    desk = desk_of(request)
    claim = await _claim(request, desk)
    if claim is None:
        return _response(await act(caller_of(request)))

    async def run() -> Answered:
        try:
            return await act(caller_of(request, claim))
        except Exception as error:
            return answered(error, request_id=ids_of(request.scope).request, now=desk.parts.now())

    return _response(await first_or_again(desk.parts.store.claims, claim, run))


async def first_or_again(claims: Claims, claim: Claim, run: Callable[[], Awaitable[Answered]]) -> Answered:
    """What `run` answers for the first who asks with this key, stored; for all others that answer again.

    A refusal is an answer too. Nothing is answered that is not kept: what `run` commits is kept with the commit, and an
    answer without effect that could not be kept is not given. Raises `Conflicting` while another one with this key is
    running or has taken over, `Refused` for another body, and as the store does.
    """
    found = await claims.claim(claim)
    if found.outcome != "ours":
        return _known(found)
    answer = await run()
    if answer.kept:
        return answer
    if answer.retryable or answer.status >= 500 or answer.status in NOT_KEPT:
        await _released(claims, claim)
        return answer
    if not await claims.keep(claim, Answer(status=answer.status, body=answer.again or answer.body)):
        raise _busy("Another request with this Idempotency-Key has taken over; ask again for its answer.")
    return answer


async def _released(claims: Claims, claim: Claim) -> None:
    try:
        await claims.release(claim)
    except StoreError as error:
        log.warning("idempotency.not_released", error=str(error))  # the mark ends by itself


async def _claim(request: Request[Any, Any, Any], desk: Desk) -> Claim | None:
    key = request.headers.get("idempotency-key")
    principal = principal_of(request)
    if key is None or principal is None or request.method != "POST":
        return None
    if not re.fullmatch("[!-~]{1,255}", key):
        raise Invalid(Fault(field="Idempotency-Key", message="must be 1 to 255 visible ASCII characters"))
    return Claim(
        key="\n".join((principal.id, request.method, request.scope["path"], key)),
        fingerprint=_fingerprint(await body_of(request)),
        token=desk.parts.new_id("clm"),
    )


def _fingerprint(body: bytes) -> str:
    """The same for bodies that differ only in spaces and in the order of their fields."""
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):  # not JSON: refused later
        body = msgspec.json.encode(msgspec.json.decode(body or b"{}"), order="sorted")
    return sha256(body).hexdigest()


def _known(found: Claimed) -> Answered:
    if found.outcome == "busy":
        raise _busy("The first request with this Idempotency-Key is still running.")
    if found.answer is None:
        raise Refused("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was sent with another body.")
    return Answered(
        status=found.answer.status, body=found.answer.body, headers={"idempotency-replayed": "true"}, kept=True
    )


def _busy(message: str) -> Conflicting:
    """Whoever runs is done in moments; only where it died does its mark last longer."""
    return Conflicting("IDEMPOTENCY_IN_PROGRESS", message, retry_after=SOON)


def plain(view: View, status: int = 200, again: View | None = None) -> Answered:
    return Answered(status=status, body=encode(view), headers={}, again=encode(again) if again else b"")


def _response(answer: Answered) -> ASGIResponse:
    return ASGIResponse(body=answer.body, status_code=answer.status, headers=dict(answer.headers))
