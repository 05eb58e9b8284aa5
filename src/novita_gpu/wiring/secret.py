"""The secret with which webhooks are signed, and files that only we can read."""

import os
import secrets
from base64 import b64encode
from pathlib import Path

from novita_gpu.settings import Settings
from novita_gpu.store import Store


def new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


async def webhook_secret(settings: Settings, store: Store) -> str:
    """The operator's, else one made at first start: receivers find it in the data folder."""
    if settings.webhook_secret:
        return settings.webhook_secret.get_secret_value()
    secret = await store.facts.first("webhook-secret", new_secret())
    keep_secret(settings.data_dir / "webhook-secret", secret)
    return secret


def keep_secret(path: Path, secret: str) -> None:
    """In a file that only we can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")
