"""The part of the guard that reads an address as it is written."""

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.domain.errors import Refused
from novita_gpu.egress import ANY_PORT, Networks, check_resolved, check_url

LOOPBACK = Networks.parse("127.0.0.0/8,::1/128")


class Book(AbstractResolver):
    """Names from a book."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        if host not in self.names:
            raise OSError(None, "no such name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.names[host]
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?a=b",
        "http://example.com",
        "https://example.com:443/",
        "https://sub_domain.example.co.uk./x",
        "https://1.1.1.1/hook",
        "https://[2606:4700:4700::1111]/hook",
        "https://xn--mller-kva.example/",
        "https://123.example/",
    ],
)
def test_public_addresses(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:22/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com\\@127.0.0.1/",
        "https://müller.example/",
        "https://１２７.0.0.1/",
        "https://" + "a" * 3000,
        "https://" + "a" * 64 + ".com/",
        "https://-a.com/",
        "https://a..com/",
        "https://127%2e0.0.1/",
        "http://localhost/",
        "http://api.localhost/",
        "http://printer.local/",
        "http://metadata.google.internal/",
    ],
)
def test_what_is_refused_as_written(url: str) -> None:
    with pytest.raises(Refused) as caught:
        check_url(url)
    assert caught.value.code == "WEBHOOK_URL_REFUSED"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.0x1",
        "0",
        "0x",
        "1.2.3.4.5",
        "256.1.1.1",
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "[::1",
        "[v1.x]",
    ],
)
def test_no_spelling_of_a_private_address_passes(host: str) -> None:
    with pytest.raises(Refused):
        check_url(f"http://{host}/hook")


def test_allowed_networks_open_their_addresses_and_ports() -> None:
    check_url("http://127.0.0.1:9000/hook", LOOPBACK)
    check_url("http://[::1]:9000/hook", LOOPBACK)
    check_url("http://localhost:9000/hook", LOOPBACK)  # where it leads is judged when it is resolved
    for url in ("http://127.1:9000/", "http://10.0.0.1/", "https://1.1.1.1:9000/"):
        with pytest.raises(Refused):
            check_url(url, LOOPBACK)


def test_ports() -> None:
    check_url("https://example.com:8443/", ports=frozenset({443, 8443}))
    check_url("https://example.com:8443/", ports=ANY_PORT)


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    for url in (text, f"https://{text}/", f"https://{text}.example/"):
        try:
            check_url(url)
        except Refused as error:
            assert error.code == "WEBHOOK_URL_REFUSED"


async def test_a_name_is_judged_by_every_address_it_has() -> None:
    book = Book(good_example=["1.1.1.1"], bad_example=["1.1.1.1", "10.0.0.1"], home_example=["127.0.0.1"])
    await check_resolved("https://good.example/", resolver=book)
    await check_resolved("https://unknown.example/", resolver=book)
    await check_resolved("http://home.example:9000/", LOOPBACK, resolver=book)
    for url in ("https://bad.example/", "https://home.example/"):
        with pytest.raises(Refused) as caught:
            await check_resolved(url, resolver=book)
        assert "10.0.0.1" not in caught.value.message
    with pytest.raises(Refused):
        await check_resolved("https://good.example:22/", LOOPBACK, resolver=book)


async def test_a_literal_is_not_resolved() -> None:
    book = Book()
    await check_resolved("https://1.1.1.1/", resolver=book)
    assert book.asked == 0
