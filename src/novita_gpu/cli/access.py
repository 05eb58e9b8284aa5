"""Where the service is and with which key to speak to it."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from novita_gpu.cli.ending import wrong
from novita_gpu.hidden import Discreet, Secret

URL = "http://127.0.0.1:3000"
KEY_FILE = "admin-key"
DEMO_FOLDER = ".demo"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Access(Discreet, frozen=True, kw_only=True):
    url: str
    key: Secret | None


def access(url: str | None, key: str | None) -> Access:
    """From the options, else the environment, else the key file of a service on this machine."""
    url = url or URL
    return Access(url=url, key=key or (_key_on_disk() if _is_here(url) else None))


def _is_here(url: str) -> bool:
    """The admin key in a file is for the service beside it; it is sent to no other machine."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def _key_on_disk() -> str | None:
    for folder in (os.environ.get("DATA_DIR") or "data", DEMO_FOLDER):
        file = Path(folder, KEY_FILE)
        try:
            return file.read_text().strip() or None
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise wrong(f"{file} cannot be read: {error}", "Give a key with --key or NOVITA_GPU_KEY.") from error
    return None
