"""What a server cannot do is found out and named before anything is stored on it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from redis.asyncio import Redis

from novita_gpu.programs import diagnose
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store import open_store
from novita_gpu.store.abilities import BLOCKING
from novita_gpu.store.wire import connect
from novita_gpu.wiring import opened
from tests.chaos.processes import command
from tests.cli.process import environment
from tests.plane import serving
from tests.server.rights import never_blocking, user

# Each right that is withheld, and what is named for it.
WITHHELD = {
    "-eval": "EVAL",
    "-evalsha": "EVAL",
    "-script": "EVAL",
    "-xautoclaim": "XAUTOCLAIM",
    "-psubscribe": "pub/sub",
    "-publish": "pub/sub",
    "resetchannels": "pub/sub",
    "-xread": BLOCKING,
    "-xreadgroup": BLOCKING,
}


async def missing(url: str, prefix: str) -> list[str]:
    async with open_store(url, prefix=prefix) as store:
        found = [lack.what for lack in await store.lacks()]
        assert await store.wire.keys(store.keys.pattern) == []
        return found


async def test_a_server_that_can_do_all_of_it_lacks_nothing(valkey_url: str, prefix: str) -> None:
    assert await missing(valkey_url, prefix) == []


@pytest.mark.parametrize(("right", "named"), WITHHELD.items())
async def test_a_right_that_is_withheld_is_named_and_nothing_else(
    valkey_url: str, prefix: str, right: str, named: str
) -> None:
    async with user(valkey_url, prefix, "~*", "&*", "+@all", right) as url:
        assert await missing(url, prefix) == [named]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
@pytest.mark.parametrize("right", ["+@all", "-config"])
async def test_a_server_that_may_throw_records_away_is_named(
    valkey_url: str, prefix: str, policy: str, right: str
) -> None:
    """Also where only INFO tells it."""
    async with connect(valkey_url) as server, user(valkey_url, prefix, "~*", "&*", "+@all", right) as url:
        await server.config_set("maxmemory-policy", policy)  # pyright: ignore[reportUnknownMemberType]
        try:
            async with open_store(url, prefix=prefix) as store:
                (lack,) = await store.lacks()
        finally:
            await server.config_set("maxmemory-policy", "noeviction")  # pyright: ignore[reportUnknownMemberType]
    assert policy in str(lack)
    assert "noeviction" in lack.so


async def test_a_server_that_does_not_tell_its_policy_is_believed(valkey_url: str, prefix: str) -> None:
    async with user(valkey_url, prefix, "~*", "&*", "+@all", "-config", "-info") as url:
        assert await missing(url, prefix) == []


async def test_on_a_server_that_lacks_something_the_service_does_not_start(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """Nothing is stored, and both are named at once."""
    async with user(valkey_url, prefix, "~*", "&*", "+@all", "-eval", "-psubscribe") as url:
        settings = Settings.load(novita_api_key="k", data_dir=tmp_path, redis_url=url, redis_key_prefix=prefix)
        with pytest.raises(WrongSettings) as wrong:
            async with opened(settings):
                pass
        assert [name for name, _ in wrong.value.faults] == ["REDIS_URL", "REDIS_URL"]
        assert await missing(url, prefix) == ["EVAL", "pub/sub"]
        findings = [finding for finding in await diagnose(settings) if finding.name == "store"]
        assert [finding.ok for finding in findings] == [True, False, False]


async def test_the_command_ends_with_2_and_says_what_is_missing(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with user(valkey_url, prefix, "~*", "&*", "+@all", "-eval") as url:
        variables = {"NOVITA_API_KEY": "k", "DATA_DIR": str(tmp_path), "REDIS_URL": url}
        for word in ("serve", "work"):
            code, told = await said(word, variables)
            assert (code, "EVAL is missing" in told) == (2, True), told


async def said(word: str, variables: Mapping[str, str]) -> tuple[int, str]:
    program = await asyncio.create_subprocess_exec(
        *command(word),
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            told, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    return program.returncode or 0, told.decode()


async def test_a_server_that_does_not_block_is_told_of_and_does(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    """A whole launch on it, without a read in a tight loop: each is followed by a pause."""
    async with never_blocking(valkey_url, tmp_path) as url:
        async with open_store(url, prefix=prefix) as store:
            (lack,) = await store.lacks()
        assert (lack.what, lack.can_do_without) == (BLOCKING, True)
        async with serving(tmp_path / "data", redis_url=url, prefix=prefix) as service, connect(valkey_url) as server:
            await service.ready()
            await server.config_resetstat()  # pyright: ignore[reportUnknownMemberType]
            await service.looked()
            reads = [await calls(server, name) for name in ("xread", "xreadgroup")]
    assert all(0 < one < 25 for one in reads), reads


async def calls(server: Redis, command: str) -> int:
    told = await server.info("commandstats")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return int(told.get(f"cmdstat_{command}", {"calls": 0})["calls"])  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
