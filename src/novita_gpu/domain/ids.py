"""Ids that sort by time and cannot be guessed: 48 bits of milliseconds, 80 bits of chance (the ULID layout)."""

from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ENTROPY_BYTES = 10
ID_CHARS = 26


def ulid(at: datetime, entropy: bytes) -> str:
    """26 lower-case characters. `entropy` is ten bytes from a source that cannot be predicted."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"entropy must be {ENTROPY_BYTES} bytes")
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(entropy)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def deployment_id(entropy: bytes) -> str:
    """Eight characters that tell this deployment's machines from another's."""
    return "".join(_ALPHABET[byte & 31] for byte in entropy[:8])
