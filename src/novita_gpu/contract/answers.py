"""Views as bytes, and the status a wish is answered with."""

import msgspec

from novita_gpu.contract.views import Outcome

_encoder = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical")


def encode(value: object) -> bytes:
    """Public JSON."""
    return _encoder.encode(value)


def answer_of(outcome: Outcome) -> tuple[int, bytes]:
    """Status and body: 201 created, 202 began, 200 nothing was left to do."""
    code = 201 if outcome.created else 202 if outcome.began else 200
    return code, encode(outcome.accepted)
