"""What docs/redis.md says of each key, on a server on which an instance has lived from its create to its end."""

from pathlib import Path

from novita_gpu.store import Store
from novita_gpu.store.keys import LIFETIMES
from tests.architecture.redis_page import lasts, type_of, work_row
from tests.plane import serving


async def found(store: Store) -> dict[str, tuple[str, bool]]:
    """Type of each key and whether it ends, by name without the prefix."""
    answer: dict[str, tuple[str, bool]] = {}
    for key in await store.wire.keys(store.keys.pattern):
        type_, left = await store.wire.ask("TYPE", key), await store.wire.ttl_ms(key.decode())
        if left != -2:  # gone meanwhile
            answer[key.decode().split("}:", 1)[1]] = (type_.decode(), left != -1)
    return answer


async def test_t1_each_key_is_as_the_page_says_and_none_lasts_that_is_no_truth(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, deleted_retention_days=1) as service:
        await service.ready("lives")
        await service.post("/instances/lives/last-used")
        await service.ready("dies")
        await service.gone("dies")
        keys = await found(service.plane.store)
        dead = (await service.instance("dies"))["id"]
    for name, (type_, ends) in keys.items():
        kind, _, rest = name.partition(":")
        if kind == "work":
            told, ttl = work_row(rest)
            assert type_ == told, name
            assert ends or ttl in {"none", "1 minute, once over"}, name
            continue
        lifetime = LIFETIMES[kind]
        assert type_ == type_of(kind), name
        if lifetime.ttl and (lifetime.from_start or rest == dead):
            assert ends, name
        elif kind == "fact":
            assert ends or lasts(rest), name
        else:
            assert not ends, name
