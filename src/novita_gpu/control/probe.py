"""Asking an instance's endpoints whether they answer. Only hosts that the cloud named are asked."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import aiohttp

from novita_gpu.domain.instance import EndpointHealth, PortMapping
from novita_gpu.domain.spec import HealthCheck
from novita_gpu.egress import Networks, guarded_session, reach

# Without a path any answer below this is up: a model server says 404 or 401 on "/".
SERVER_FAULT = 500


class Prober(Protocol):
    async def probe(self, targets: Sequence[PortMapping], check: HealthCheck) -> list[EndpointHealth]:
        """One try at each endpoint, side by side. Never raises for an endpoint that does not answer."""
        ...


class NetworkProber:
    """Probes over the network. Goes to private addresses only in the networks that it is let into."""

    def __init__(self, private: Networks) -> None:
        self._private = private
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def probe(self, targets: Sequence[PortMapping], check: HealthCheck) -> list[EndpointHealth]:
        return list(await asyncio.gather(*(self._one(target, check) for target in targets)))

    async def _one(self, target: PortMapping, check: HealthCheck) -> EndpointHealth:
        begun = time.perf_counter()
        code: int | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(check.timeout.total_seconds()):
                code = await (self._http(target, check) if target.type == "http" else self._tcp(target))
        except TimeoutError:
            error = f"no answer within {check.timeout.total_seconds():g} s"
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            error = f"{type(fault).__name__}: {fault}"[:200]
        return EndpointHealth(
            port=target.port,
            endpoint=target.endpoint,
            healthy=error is None and is_healthy(target, check, code),
            status_code=code,
            error=error,
            response_time_ms=round((time.perf_counter() - begun) * 1000),
        )

    async def _http(self, target: PortMapping, check: HealthCheck) -> int:
        if self._session is None:
            self._session = guarded_session(self._private, ports=None)
        url = target.endpoint.rstrip("/") + (check.path or "/")
        async with self._session.get(url, allow_redirects=False) as response:
            return response.status

    async def _tcp(self, target: PortMapping) -> None:
        host, _, port = target.endpoint.rpartition(":")
        await reach(host, int(port), self._private)


def is_healthy(target: PortMapping, check: HealthCheck, code: int | None) -> bool:
    """With a path 2xx and 3xx are up; without, anything below 500. A tcp port is up when it lets us connect."""
    if target.type != "http" or code is None:
        return target.type != "http"
    return 200 <= code < 400 if check.path else code < SERVER_FAULT
