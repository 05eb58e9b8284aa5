"""Which addresses are not the public internet, in every form in which one can be written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novita_gpu.egress import NOWHERE_PRIVATE, Networks, forbidden

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.169.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_forms(address: str) -> None:
    assert forbidden(address)
    for form in ("::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}"):
        assert forbidden(form.format(address)), form


@pytest.mark.parametrize("address", PRIVATE + PUBLIC)
def test_tunnels_are_closed_whatever_they_carry(address: str) -> None:
    number = int(ipaddress.IPv4Address(address))
    assert forbidden(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1))  # 6to4
    assert forbidden(ipaddress.IPv6Address((0x2001_0000 << 96) | (number ^ 0xFFFF_FFFF)))  # Teredo


@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "100::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "64:ff9b:1::1",
        "3fff::1",
    ],
)
def test_private_forms_of_ipv6(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize(
    "address", [*PUBLIC, "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_public_addresses(address: str) -> None:
    assert not forbidden(address)


@given(st.ip_addresses())
def test_what_is_let_through_is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not forbidden(address):
        assert not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
        assert NOWHERE_PRIVATE.admits(address)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_like_the_one_in_it(address: ipaddress.IPv4Address) -> None:
    assert forbidden(f"::ffff:{address}") == forbidden(address)


def test_networks_that_are_allowed() -> None:
    allowed = Networks.parse(" 127.0.0.0/8, ::1/128 ,10.1.0.0/16,")
    assert allowed.admits("127.0.0.1", 9000, frozenset({443}))
    assert allowed.admits("::ffff:127.0.0.1", 9000, frozenset({443}))
    assert allowed.admits("::1")
    assert allowed.admits("10.1.2.3")
    assert not allowed.admits("10.2.0.1")
    assert not allowed.admits("169.254.169.254")
    assert allowed.admits("8.8.8.8", 443, frozenset({443}))
    assert not allowed.admits("8.8.8.8", 22, frozenset({443}))


def test_no_network_and_no_sense() -> None:
    assert not Networks.parse("")
    assert Networks.parse("::1/128")
    with pytest.raises(ValueError, match="10\\.0\\.0"):
        Networks.parse("10.0.0/8x")
