"""Keys of the API as people see, make and revoke them. A key is told where it is made, and never again."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from novita_gpu.contract import time_text
from novita_gpu.contract.api_keys import AddKey, KeyLimitsRequest, KeyLimitsView, KeyList, KeyView, NewKeyView
from novita_gpu.control.admission import KEY_PREFIX, hashed
from novita_gpu.control.commands import Caller
from novita_gpu.domain.api_key import FREE, ApiKey, KeyLimits, Scope, allows
from novita_gpu.domain.errors import Fault, Invalid, Missing, Refused, Unavailable
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.money import compute_rate, price_limit, usd_of_rate, usd_text
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.api_keys import MOST
from novita_gpu.store.base import Full, KeyNameTaken

KEY_BYTES = 32


class KeyBook:
    def __init__(self, store: Store, now: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._store, self._keys, self._now, self._new_id = store, store.api_keys, now, new_id

    async def list(self) -> KeyList:
        uses = await self._keys.last_uses()
        return KeyList(keys=tuple(self._view(key, uses.get(key.id)) for key in self._keys.all()))

    async def add(self, request: AddKey, caller: Caller) -> NewKeyView:
        """Raises `Invalid`, `Refused` where there are `MOST`, `Unavailable` while the shared store is out."""
        self._refuse_limited(caller)
        if self._store.is_away:
            text = "The shared store is out: a key made now would open this process alone. Try again once it is back."
            raise Unavailable("STORE_UNAVAILABLE", text)
        limits, now = _limits(request.limits), self._now()
        if faults := list(_faults(request, limits, now)):
            raise Invalid(*faults)
        told = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
        key = ApiKey(
            id=self._new_id("key"),
            name=request.name,
            digest=hashed(told),
            scopes=frozenset(request.scopes),
            limits=limits,
            created_at=now,
            created_by=caller.actor,
            expires_at=request.expires_at,
        )
        created = self._event(EventType.KEY_CREATED, key, caller)
        try:
            await self._keys.add(key, created)
        except KeyNameTaken:
            raise Invalid(
                Fault(field="name", message="is another key's; revoke that one first", value=key.name)
            ) from None
        except Full:
            raise Refused("LIMIT_REACHED", f"There are {MOST} keys; revoke one first.") from None
        tell(created)
        return NewKeyView(**_facts(key, None, now), key=told)

    async def revoke(self, key_id: str, caller: Caller) -> KeyView:
        """From now on it lets nobody in, and what it holds open ends."""
        self._refuse_limited(caller)
        key = self._keys.named(key_id)
        if key is None:
            text = f"There is no key {key_id}. The admin key of the settings or of the first start is changed there."
            raise Missing("NOT_FOUND", text)
        used = (await self._keys.last_uses()).get(key_id)
        revoked = self._event(EventType.KEY_REVOKED, key, caller)
        await self._keys.remove(key_id, revoked)
        tell(revoked)
        return self._view(key, used)

    def _refuse_limited(self, caller: Caller) -> None:
        """It would make itself a key without them."""
        if caller.limits != FREE:
            raise Refused("FORBIDDEN", f"The key {caller.actor} has limits, so it neither makes nor revokes keys.")

    def _event(self, kind: EventType, key: ApiKey, caller: Caller) -> Event:
        facts = {"keyId": key.id, "keyName": key.name, "scopes": " ".join(sorted(key.scopes))}
        return Event(
            id=self._new_id("evt"),
            type=kind,
            at=self._now(),
            actor=caller.actor,
            correlation=caller.correlation,
            facts=facts,
        )

    def _view(self, key: ApiKey, used: datetime | None) -> KeyView:
        return KeyView(**_facts(key, used, self._now()))


def _faults(request: AddKey, limits: KeyLimits, now: datetime) -> list[Fault]:
    faults: list[Fault] = []
    if request.expires_at and request.expires_at <= now:
        faults.append(Fault(field="expiresAt", message="must lie ahead", value=time_text(request.expires_at)))
    if limits != FREE and not allows(frozenset(request.scopes), Scope.ADMIN):
        faults.append(Fault(field="limits", message="need the scope admin: no other key creates"))
    return faults


def _limits(asked: KeyLimitsRequest | None) -> KeyLimits:
    if asked is None:
        return FREE
    most = asked.max_usd_per_hour
    return KeyLimits(
        max_instances=asked.max_instances,
        max_burn=None if most is None else compute_rate(price_limit(most)),
        regions=asked.regions or (),
    )


def _facts(key: ApiKey, used: datetime | None, now: datetime) -> dict[str, Any]:
    """What may be shown of it at any time."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": tuple(scope for scope in Scope if scope in key.scopes),
        "limits": None if key.limits == FREE else _limits_view(key.limits),
        "created_at": time_text(key.created_at),
        "created_by": key.created_by,
        "expires_at": key.expires_at and time_text(key.expires_at),
        "expired": not key.opens(now),
        "last_used_at": used and time_text(used),
    }


def _limits_view(limits: KeyLimits) -> KeyLimitsView:
    return KeyLimitsView(
        max_instances=limits.max_instances,
        max_usd_per_hour=None if limits.max_burn is None else usd_text(usd_of_rate(limits.max_burn)),
        regions=limits.regions or None,
    )
