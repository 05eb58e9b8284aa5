"""Idempotency-Keys: a mark while the first request runs, then its answer for whoever asks again."""

from collections.abc import Mapping

from novita_gpu.domain.value import Value
from novita_gpu.store.base import Answer, Claim, Claimed, Outcome
from novita_gpu.store.keys import ANSWERED_FOR, CLAIMED_FOR, Keys
from novita_gpu.store.stored import answer_of, encode, millis
from novita_gpu.store.wire import Script, Wire

CLAIM = Script("claim")
KEEP = Script("keep")
RELEASE = Script("release")
OUTCOMES: Mapping[bytes, Outcome] = {b"ours": "ours", b"busy": "busy", b"reused": "reused"}


class Kept(Value, frozen=True, kw_only=True):
    """An answer with the mark under which it is kept. `name` is the key, hashed."""

    name: str
    fingerprint: bytes
    token: bytes
    answer: Answer


class Claims:
    """All Idempotency-Keys of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def claim(self, claim: Claim) -> Claimed:
        """Marks the key as ours for 30 s, or says what is known of it.

        A commit that carries the claim stores its answer with the record; whoever commits nothing uses `keep`.
        """
        words = (claim.fingerprint, claim.token, millis(CLAIMED_FOR))
        verdict, *facts = await self._wire.verdict(CLAIM, (self._keys.claim(claim.key),), words)
        if verdict == b"answered":
            return Claimed(outcome="answered", answer=answer_of(facts[0]))
        return Claimed(outcome=OUTCOMES[verdict])

    async def keep(self, claim: Claim, answer: Answer) -> bool:
        """Stores the answer for 24 h. False: the mark ended and another request has the key."""
        words = (claim.fingerprint, claim.token, encode(answer), millis(ANSWERED_FOR))
        return bool(await self._wire.number(KEEP, (self._keys.claim(claim.key),), words))

    async def names(self) -> list[str]:
        """Of every key that is marked or has an answer, hashed. Looks at the whole store."""
        return sorted(key.decode().rpartition(":")[2] for key in await self._wire.keys(self._keys.claim_named("*")))

    async def bring(self, kept: Kept) -> Answer | None:
        """Keeps another store's answer for 24 h, also in the place of one that is kept here for the same request: that
        is answered.
        """
        before = await self.kept(kept.name)
        if before and before.fingerprint != kept.fingerprint:
            return None
        token = before.token if before else kept.token
        words = (kept.fingerprint, token, encode(kept.answer), millis(ANSWERED_FOR))
        await self._wire.number(KEEP, (self._keys.claim_named(kept.name),), words)
        return before.answer if before else None

    async def kept(self, name: str) -> Kept | None:
        """The answer to the key with that hash, if it has one."""
        fields = await self._wire.hmget(self._keys.claim_named(name), "fingerprint", "token", "answer")
        fingerprint, token, answer = fields
        if not fingerprint or not token or not answer:
            return None
        return Kept(name=name, fingerprint=fingerprint, token=token, answer=answer_of(answer))

    async def release(self, claim: Claim) -> None:
        """Takes our mark off, so that the key may be tried again. An answer stays."""
        await self._wire.number(RELEASE, (self._keys.claim(claim.key),), (claim.token,))
