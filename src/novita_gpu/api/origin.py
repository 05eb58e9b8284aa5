"""Where a request comes from: its address, by the word of trusted proxies alone; and whether it is of this machine."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from novita_gpu.domain.value import Value

Address = IPv4Address | IPv6Address
Scope = Mapping[str, Any]

# A chain of proxies is a few long; more is somebody's invention.
MOST_HOPS = 32
# Who has one IPv6 address has its whole network.
V6_PREFIX = 64
# What a proxy adds: behind one, this machine's address is everybody's.
_FORWARDING = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via")
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
NOWHERE = "unknown"


class Proxies(Value, frozen=True, kw_only=True):
    """Networks of the proxies whose word counts for where a request comes from."""

    networks: tuple[str, ...] = ()

    def trust(self, address: Address) -> bool:
        return any(address in _network(network) for network in self.networks)

    def caller(self, scope: Scope) -> str:
        """Who is counted: an IPv4 address, or the /64 of an IPv6 one.

        From the right of what was forwarded, the first that is no trusted proxy. Two headers that disagree, or one that
        cannot be read, are not believed: the proxy itself is counted then.
        """
        peer = _read(scope["client"][0]) if scope.get("client") else None
        if peer is None:
            return NOWHERE
        if not self.networks or not self.trust(peer):
            return _counted(peer)
        told = {self._nearest(peer, hops) for hops in (_forwarded(scope), _x_forwarded_for(scope)) if hops}
        return _counted(told.pop() if len(told) == 1 else peer)

    def _nearest(self, peer: Address, hops: Sequence[str]) -> Address:
        nearest = peer
        for hop in reversed(hops[-MOST_HOPS:]):
            address = _read(_without_port(hop))
            if address is None:
                return nearest
            nearest = address
            if not self.trust(address):
                break
        return nearest


def why_not_local(scope: Scope) -> str | None:
    """Why a request is not taken for one of this machine's own user; None if it is.

    A proxy in front makes every caller a local one, and any web page can post to a port of its reader's machine.
    """
    peer = _read(scope["client"][0]) if scope.get("client") else None
    if peer is None or not peer.is_loopback:
        return "it comes from another machine"
    forwarding = next((name for name in _FORWARDING if _values(scope, name)), None)
    if forwarding:
        return f"it came through a proxy ({forwarding.decode()})"
    hosts = _values(scope, b"host")
    host = hosts[0] if len(hosts) == 1 else ""
    if _host_of(f"//{host}") not in _LOCAL_HOSTS:
        return "its Host is not localhost, 127.0.0.1 or [::1]"
    if any(origin not in {f"http://{host}", f"https://{host}"} for origin in _values(scope, b"origin")):
        return "a page of another origin sent it"
    if any(site not in {"same-origin", "none"} for site in _values(scope, b"sec-fetch-site")):
        return "a page of another site sent it"
    return None


@cache
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _x_forwarded_for(scope: Scope) -> list[str]:
    return [hop.strip() for hop in ",".join(_values(scope, b"x-forwarded-for")).split(",") if hop.strip()]


def _forwarded(scope: Scope) -> list[str]:
    """The `for` of each element; one without it is a hop that cannot be read."""
    elements = ",".join(_values(scope, b"forwarded")).split(",")
    return [next(_fors(element), NOWHERE) for element in elements if element.strip()]


def _fors(element: str) -> Iterator[str]:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            yield value.strip().strip('"')


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _counted(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> (128 - V6_PREFIX) << (128 - V6_PREFIX), V6_PREFIX)))
