"""S2: whatever an address is written as, no spelling leads where the address itself may not."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_urls import Book

from novita_gpu.domain.errors import Refused
from novita_gpu.egress import NOWHERE_PRIVATE, Forbidden, GuardedResolver, check_url, forbidden

# Written down here anew, from the registries of IANA, so that a gap in the guard's own table shows.
CLOSED = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    )
]
DIGITS = str.maketrans("0123456789", "０１２３４５６７８９")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")


def passes(host: str) -> bool:
    try:
        check_url(f"https://{host}/hook")
    except Refused:
        return False
    return True


def within(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> st.SearchStrategy[IPv4Address]:
    return st.integers(int(network[0]), int(network[-1])).map(IPv4Address)


anywhere = st.ip_addresses(v=4)
closed = st.sampled_from(CLOSED).flatmap(within)


def numeric(address: IPv4Address) -> list[str]:
    """As resolvers of old read it: fewer parts, octal, hexadecimal, a dot at the end."""
    number, parts = int(address), [int(part) for part in str(address).split(".")]
    a, b, c, d = parts
    written = [
        str(number),
        f"{number:#x}",
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"{part:#x}" for part in parts),
        ".".join(f"{part:03}" for part in parts),
        f"{a:#x}.{b}.0{c:o}.{d}",
    ]
    return [*written, *(f"{each}." for each in [str(address), *written])]


def unicode_spelled(address: IPv4Address) -> list[str]:
    """As an IDN turned to ASCII by somebody else would read it."""
    plain = str(address)
    dots = [plain.replace(".", dot) for dot in "。．｡"]
    return [plain.translate(DIGITS), plain.translate(CIRCLED), *dots, plain.replace(".", "%2e"), f"{plain}\u00ad"]


def carried(address: IPv4Address) -> list[IPv6Address]:
    """IPv6 addresses that lead to it: mapped, compatible, translated, NAT64, 6to4, Teredo."""
    number = int(address)
    heads = [0xFFFF << 32, 0, 0xFFFF << 48, 0x64_FF9B << 96, 0x64_FF9B_0001 << 80]
    return [
        *(IPv6Address(head | number) for head in heads),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
        IPv6Address(0x2001_0000 << 96 | (number ^ 0xFFFF_FFFF)),
    ]


def written(address: IPv6Address) -> list[str]:
    tail = IPv4Address(int(address) & 0xFFFF_FFFF)
    head = ":".join(address.exploded.split(":")[:6])
    return [str(address), address.exploded, address.exploded.upper(), f"{head}:{tail}"]


@given(closed)
@example(IPv4Address("169.254.169.254"))
@example(IPv4Address("127.0.0.1"))
def test_s2_no_spelling_of_a_closed_address_passes(address: IPv4Address) -> None:
    spellings = [str(address), *numeric(address), *unicode_spelled(address)]
    spellings += [f"[{text}]" for six in carried(address) for text in written(six)]
    assert [text for text in spellings if passes(text)] == []


@given(anywhere)
def test_what_passes_is_read_by_everybody_as_the_same_address(address: IPv4Address) -> None:
    assert passes(str(address)) == (not any(address in network for network in CLOSED) and not forbidden(address))
    others = {*numeric(address), *unicode_spelled(address)} - {str(address)}
    assert [text for text in others if passes(text)] == []


@given(st.ip_addresses(v=6))
def test_each_spelling_of_one_ipv6_address_has_one_verdict(address: IPv6Address) -> None:
    assert {passes(f"[{text}]") for text in written(address)} == {not forbidden(address)}
    assert not passes(f"[{address}%25eth0]")


@given(anywhere)
def test_an_ipv4_address_inside_of_an_ipv6_one_is_judged_with_it(address: IPv4Address) -> None:
    mapped, _, _, nat64, *tunnels = carried(address)
    assert forbidden(mapped) == forbidden(nat64) == forbidden(address)
    assert all(map(forbidden, tunnels))


@given(st.from_regex(r"[0-9a-fx.]{1,24}", fullmatch=True))
def test_whatever_a_resolver_of_old_reads_as_an_address_passes_only_as_that_address(text: str) -> None:
    try:
        read = IPv4Address(socket.inet_aton(text))
    except OSError:
        return
    assert not passes(text) or str(read) == text


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal.", "nas.local"])
def test_local_names_do_not_pass_in_any_case_and_with_a_dot(name: str) -> None:
    assert not passes(name)
    assert passes("example.com.")


@given(st.lists(st.one_of(closed, anywhere), min_size=1, max_size=4))
async def test_a_name_passes_only_if_all_its_addresses_do(addresses: list[IPv4Address]) -> None:
    resolver = GuardedResolver(NOWHERE_PRIVATE, inner=Book(hook_example=[str(each) for each in addresses]))
    try:
        found = await resolver.resolve("hook.example", 443)
    except Forbidden:
        assert any(map(forbidden, addresses))
    else:
        assert not any(map(forbidden, addresses))
        assert [each["host"] for each in found] == [str(each) for each in addresses]
