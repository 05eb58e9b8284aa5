"""What is wrong before anything is started, and what to do about it."""

import resource

from msgspec import Struct

from novita_gpu.cloud.base import CloudError, Unauthorized
from novita_gpu.cloud.novita import Novita
from novita_gpu.placement import opened_store
from novita_gpu.programs.files import ENOUGH_FILES, allow_files
from novita_gpu.settings import Settings
from novita_gpu.store.base import StoreError

KEY_PAGE = "https://novita.ai/settings/key-management"
NO_KEY = f"set it to a key from {KEY_PAGE}, or run `novita-gpu demo`, which needs none"


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that the doctor looked at."""

    name: str
    ok: bool
    what: str
    todo: str | None = None


async def diagnose(settings: Settings) -> list[Finding]:
    """Settings, key, cloud and store: what is wrong, and what to do."""
    return [*_settings_found(settings), _files_found(), *await _cloud_found(settings), *await _store_found(settings)]


def _files_found() -> Finding:
    files = allow_files()
    is_enough = files == resource.RLIM_INFINITY or files >= ENOUGH_FILES
    return Finding(
        name="files",
        ok=is_enough,
        what=f"{'any number of' if files == resource.RLIM_INFINITY else files} open files are allowed",
        todo=None if is_enough else f"allow {ENOUGH_FILES}, or live streams are few: `ulimit -Hn {ENOUGH_FILES}`",
    )


def _settings_found(settings: Settings) -> list[Finding]:
    has_key = settings.novita_api_key is not None
    return [
        Finding(name="settings", ok=True, what="readable"),
        Finding(
            name="key",
            ok=has_key,
            what="NOVITA_API_KEY is set" if has_key else "NOVITA_API_KEY is not set",
            todo=None if has_key else NO_KEY,
        ),
    ]


async def _cloud_found(settings: Settings) -> list[Finding]:
    if settings.novita_api_key is None:
        return []
    root = settings.novita_api_base_url
    cloud = Novita(settings.novita_api_key.get_secret_value(), root=root)
    try:
        clusters = await cloud.clusters()
        balance = await cloud.balance()
    except Unauthorized as error:
        todo = f"the cloud does not accept the key; make a new one at {KEY_PAGE}"
        return [Finding(name="cloud", ok=False, what=f"{root}: {error.message}", todo=todo)]
    except CloudError as error:
        todo = "check NOVITA_API_BASE_URL and that this machine may reach it"
        return [Finding(name="cloud", ok=False, what=f"{root}: {error.message}", todo=todo)]
    finally:
        await cloud.close()
    return [
        Finding(name="cloud", ok=True, what=f"{root}: {len(clusters)} regions, balance {balance.available_usd} USD")
    ]


async def _store_found(settings: Settings) -> list[Finding]:
    """Whether it answers, and each thing that it should be able to do and is not."""
    try:
        async with opened_store(settings) as store:
            await store.ping()
            found = await store.lacks()
    except (StoreError, OSError) as error:
        todo = (
            "check REDIS_URL" if settings.redis_url else "check that DATA_DIR can be written and its disk is not full"
        )
        return [Finding(name="store", ok=False, what=str(error), todo=todo)]
    what = "a shared server" if settings.redis_url else f"a private Valkey in {settings.data_dir / 'store'}"
    todo = "give its user the right to it, or use another server: docs/redis.md"
    return [
        Finding(name="store", ok=True, what=what),
        *(Finding(name="store", ok=one.can_do_without, what=str(one), todo=todo) for one in found),
    ]
