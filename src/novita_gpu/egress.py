"""The guard of calls to addresses that others name: readiness probes and webhooks never lead into private networks.

A name is judged by every address it resolves to, and the connection goes to an address that was judged, so that a name
cannot be swapped in between. Where the socket is made each address is judged again: literal ones are never resolved.
"""

import asyncio
import errno
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from novita_gpu.domain.errors import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REFUSED_CODE = "WEBHOOK_URL_REFUSED"
# Where the web listens. Other ports lead to mail, databases and the like that take a POST for commands.
WEB_PORTS = frozenset({80, 443})
ANY_PORT: frozenset[int] | None = None
URL_LENGTH = 2048

# What `is_global` of the ipaddress module lets pass, or has let pass in some Python release, though it is not the
# public internet or hides another address in itself.
_FORBIDDEN: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; clouds put metadata and nodes there
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: 169.254.169.254 is the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b:1::/48",  # local NAT64
        "100::/64",
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address in an IPv6 one, by relays that are gone
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",  # unique local; fd00:ec2::254 is metadata
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)
# A last label of digits or 0x… is what old resolvers read as an address: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
_NUMERIC_END = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$", re.IGNORECASE)


# Names that never lead to the public internet. The rest is judged when it is resolved.
_LOCAL_NAME = re.compile(r"(^|\.)(localhost|local|localdomain|internal|lan|intranet|home\.arpa)\.?$", re.IGNORECASE)
# Resolving at registration may take this long; a name that cannot be resolved now is judged at each send anyway.
RESOLVE_SECONDS = 3.0


class Forbidden(OSError):
    """A connection that the guard does not make. An OSError: aiohttp makes a ClientConnectorError of it."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EACCES, why)
        self.why = why


def forbidden(address: Address | str) -> bool:
    """Whether an address is not on the public internet, or carries one in itself that is not."""
    if isinstance(address, str):
        address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and (inside := _inside(address)) is not None:
        return forbidden(inside)
    return not address.is_global or address.is_multicast or any(address in network for network in _FORBIDDEN)


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to an IPv6 one end up at: mapped, NAT64."""
    if address in _MAPPED or address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks that are allowed although they are private."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Networks":
        """From "127.0.0.0/8, ::1/128"; empty is none. Raises ValueError with the entry that is no network."""
        entries = [entry.strip() for entry in text.split(",")]
        return cls(tuple(ipaddress.ip_network(entry) for entry in entries if entry))

    def __contains__(self, address: object) -> bool:
        return isinstance(address, Address) and any(address in network for network in self.networks)

    def __bool__(self) -> bool:
        return bool(self.networks)

    def admits(self, address: Address | str, port: int = 443, ports: frozenset[int] | None = None) -> bool:
        """Whether a connection may go there: any port in an allowed network, else a public address and a listed one."""
        if isinstance(address, str):
            address = ipaddress.ip_address(address.partition("%")[0])
        if address in self or (_plain(address) in self):
            return True
        return not forbidden(address) and (ports is None or port in ports)


def _plain(address: Address) -> Address:
    """::ffff:127.0.0.1 as 127.0.0.1: the kernel takes them for the same."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


NOWHERE_PRIVATE = Networks()


def check_url(url: str, allowed: Networks = NOWHERE_PRIVATE, ports: frozenset[int] | None = WEB_PORTS) -> None:
    """The part of the guard that needs no resolving. Raises `Refused` saying what is wrong with the address.

    A name's port is left to the connection when some private network is allowed: only its address tells whether it is
    in there. `ports=None` allows all.
    """
    host, port = _host_and_port(url)
    address = _literal(host)
    if address is None:
        if not allowed:
            _check_public_name(host, port, ports)
        return
    if not allowed.admits(address):
        raise _refused("the address is not on the public internet")
    if not allowed.admits(address, port, ports):
        raise _refused(f"port {port} is not one of {_listed(ports or frozenset())}")


async def check_resolved(
    url: str,
    allowed: Networks = NOWHERE_PRIVATE,
    ports: frozenset[int] | None = WEB_PORTS,
    resolver: AbstractResolver | None = None,
) -> None:
    """`check_url`, then every address that its name has now. A name that has none now is let pass: each send judges
    anew."""
    check_url(url, allowed, ports)
    host, port = _host_and_port(url)
    if _literal(host) is not None:
        return
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            await GuardedResolver(allowed, ports, resolver).resolve(host, port)
    except Forbidden as error:
        raise _refused(error.why) from None
    except (OSError, TimeoutError):
        return


def _check_public_name(host: str, port: int, ports: frozenset[int] | None) -> None:
    if _LOCAL_NAME.search(host):
        raise _refused("the name is one of a private network")
    if ports is not None and port not in ports:
        raise _refused(f"port {port} is not one of {_listed(ports)}")


def _host_and_port(url: str) -> tuple[str, int]:
    if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused(f"the address is longer than {URL_LENGTH} or holds characters that have to be escaped")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("it is no address") from None
    if parts.scheme not in {"http", "https"}:
        raise _refused("it must begin with https:// or http://")
    if "[" in parts.netloc and ":" not in host:
        raise _refused("the host is no IPv6 address")
    if "@" in parts.netloc:
        raise _refused("it must not hold a user or a password")
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return host, port


def _literal(host: str) -> Address | None:
    """The address that a host is written as, None for a name. Raises for spellings that others may read otherwise."""
    if ":" in host:
        if "%" in host:
            raise _refused("an address must not name an interface")
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            raise _refused("the host is no IPv6 address") from None
    if _NUMERIC_END.search(host):
        try:
            return ipaddress.IPv4Address(host)  # strict: four decimal parts without leading zeros
        except ValueError:
            raise _refused("the host must be written as a name or as four decimal numbers") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise _refused("it names no host")
    return None


def _listed(ports: Iterable[int]) -> str:
    return ", ".join(str(port) for port in sorted(ports))


def _refused(why: str) -> Refused:
    return Refused(REFUSED_CODE, f"This address is not called: {why}.")


class GuardedResolver(AbstractResolver):
    """Resolves a name and refuses it when any of its addresses is one that must not be called."""

    def __init__(
        self,
        allowed: Networks = NOWHERE_PRIVATE,
        ports: frozenset[int] | None = WEB_PORTS,
        inner: AbstractResolver | None = None,
    ) -> None:
        self._allowed = allowed
        self._ports = ports
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(self._allowed.admits(entry["host"], port, self._ports) for entry in found):
            raise Forbidden("the name leads to an address or port that is not called")
        return found

    async def close(self) -> None:
        await self._inner.close()


def guarded_session(
    allowed: Networks = NOWHERE_PRIVATE,
    *,
    ports: frozenset[int] | None = WEB_PORTS,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A session whose every socket is judged by where it goes: no redirects, no proxies, no cookies, no kept names.

    Each call resolves and judges anew. A redirect that a caller did not forbid ends in `Forbidden`. To be made on the
    event loop, and closed.
    """
    return aiohttp.ClientSession(
        connector=_connector(allowed, ports, resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[_no_redirects()],
    )


def _connector(
    allowed: Networks, ports: frozenset[int] | None, resolver: AbstractResolver | None
) -> aiohttp.TCPConnector:
    def open_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        _judge(str(sockaddr[0]), int(sockaddr[1]), allowed, ports)
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(allowed, ports, resolver),
        use_dns_cache=False,
        force_close=True,
        limit=0,
        socket_factory=open_socket,
    )


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, _params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        raise Forbidden("redirects are not followed")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


async def reach(
    host: str,
    port: int,
    allowed: Networks = NOWHERE_PRIVATE,
    *,
    ports: frozenset[int] | None = ANY_PORT,
    resolver: AbstractResolver | None = None,
) -> None:
    """Opens a TCP connection to a judged address, and closes it. Raises OSError (`Forbidden` is one) when it cannot.

    Has no deadline of its own.
    """
    try:
        literal = _literal(host)
    except Refused as error:
        raise Forbidden(error.message) from None
    if literal is not None:
        _judge(host, port, allowed, ports)
        return await _touch([host], port)
    found = await GuardedResolver(allowed, ports, resolver).resolve(host, port)
    return await _touch([entry["host"] for entry in found], port)


async def _touch(addresses: list[str], port: int) -> None:
    """Connects to the first address that lets us; raises what the last one said."""
    failure = OSError(errno.EADDRNOTAVAIL, "the name has no address")
    for address in addresses:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            failure = error
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise failure


def _judge(address: str, port: int, allowed: Networks, ports: frozenset[int] | None) -> None:
    if not allowed.admits(address, port, ports):
        raise Forbidden("this address or port is not called")
