"""Every form that REDIS_URL may have, each with a whole launch, so that store and work queue both understand it."""

import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store import open_store
from novita_gpu.store.base import Unavailable
from novita_gpu.store.wire import Wire, connect
from tests.chaos.processes import free_port
from tests.plane import serving
from tests.server.rights import PASSWORD, user, with_user
from tests.valkey import running_server

# What a user of a server that others use too needs: docs/redis.md.
RIGHTS = ("~{%s}:*", "&{%s}:*", "&{%s}:work:cancel:*", "+@all", "-@admin", "-@dangerous", "+info")


@dataclass(frozen=True)
class Place:
    """One server on a socket and a port. `socket` has the administrator's rights."""

    socket: str
    port: int


@pytest.fixture(scope="module")
def place(program: Path) -> Generator[Place]:
    port = free_port()
    with running_server(program, "--port", str(port), "--bind", "127.0.0.1") as socket:
        yield Place(socket, port)


async def launched(url: str, prefix: str, folder: Path) -> None:
    async with serving(folder, redis_url=url, prefix=prefix) as service:
        await service.ready()


async def keys_in(url: str, prefix: str) -> int:
    wire = Wire(connect(url))
    try:
        return len(await wire.keys(f"{{{prefix}}}:*"))
    finally:
        await wire.close()


@pytest.mark.parametrize("form", ["redis://127.0.0.1:{port}", "redis://localhost:{port}/3", "{socket}", "{socket}3"])
async def test_a_host_a_socket_and_a_database(place: Place, prefix: str, tmp_path: Path, form: str) -> None:
    url = form.format(port=place.port, socket=place.socket).replace("db=03", "db=3")
    await launched(url, prefix, tmp_path)
    database = 3 if form.endswith("3") else 0
    found = {number: await keys_in(place.socket.replace("db=0", f"db={number}"), prefix) for number in (0, 3)}
    assert [number for number, keys in found.items() if keys] == [database]


@pytest.mark.parametrize("form", ["redis://{name}:{password}@127.0.0.1:{port}/0", "unix"])
async def test_a_user_with_no_more_rights_than_are_needed(place: Place, prefix: str, tmp_path: Path, form: str) -> None:
    """Neither keys nor channels beyond the prefix, and nothing of an administrator's."""
    rights = [right % prefix if "%" in right else right for right in RIGHTS]
    async with user(place.socket, prefix, *rights):
        over_tcp = form.format(name=prefix, password=quote(PASSWORD, safe=""), port=place.port)
        await launched(with_user(place.socket, prefix) if form == "unix" else over_tcp, prefix, tmp_path)


async def test_a_wrong_password_is_said_to_be_wrong(place: Place, prefix: str) -> None:
    url = f"redis://{prefix}:guessed@127.0.0.1:{place.port}"
    async with user(place.socket, prefix, "~*", "&*", "+@all"), open_store(url) as store:
        with pytest.raises(Unavailable, match=r"(?i)invalid username-password"):
            await store.ping()


@dataclass(frozen=True)
class Secured:
    url: str
    certificate: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Secured]:
    """redis-server with a certificate that nobody knows: the wheel's Valkey is built without TLS."""
    program, folder, port = shutil.which("redis-server"), tmp_path_factory.mktemp("tls"), free_port()
    if not program:
        pytest.skip("no redis-server on the PATH")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    made = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate))
    subprocess.run((*words, *made), check=True, capture_output=True)
    tls = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    with running_server(Path(program), *tls, "--tls-auth-clients", "no"):
        yield Secured(f"rediss://localhost:{port}/0", certificate)


@pytest.mark.needs_redis_server
async def test_tls_with_a_certificate_of_ones_own(secured: Secured, prefix: str, tmp_path: Path) -> None:
    await launched(f"{secured.url}?ssl_ca_certs={quote(str(secured.certificate))}", prefix, tmp_path)


@pytest.mark.needs_redis_server
async def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    async with open_store(secured.url) as store:
        with pytest.raises(Unavailable, match="certificate"):
            await store.ping()


@pytest.mark.parametrize("wrong", ["http://localhost", "redis://localhost:port", "redis://user:a/b@localhost:6379"])
def test_an_address_that_is_none_is_a_wrong_setting_and_not_repeated(wrong: str) -> None:
    with pytest.raises(WrongSettings) as fault:
        Settings.load(redis_url=wrong)
    ((name, why),) = fault.value.faults
    assert name == "REDIS_URL"
    assert "redis://" in why
    assert "a/b" not in why
