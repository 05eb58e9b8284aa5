"""A second implementation of the transport's seam: answers laid out beforehand, on a clock turned by hand."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from novita_gpu.cloud.base import Order
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, NotSent, Request, Response, TooLate
from novita_gpu.domain.spec import BillingMode, Env, Port, Spec, Storage, Tool

KEY = "sk_test_0123456789abcdef"
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"

Reply = Response | NotSent | NoAnswer
Answering = Callable[[Request], Reply]


class HandClock:
    """Wall and monotonic time that move only when told to; sleeping moves them."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = NOON
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.wall

    def turn(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.turn(seconds)


class Canned:
    """Answers in their order, the last one again and again; or whatever a function makes of the request."""

    def __init__(self, answers: Iterable[Reply] | Answering) -> None:
        self._answer = answers if callable(answers) else None
        self._answers = [] if callable(answers) else list(answers)
        self.requests: list[Request] = []
        self.deadlines: list[float] = []
        self.closed = False

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        if request.wanted is not None and not request.wanted():
            raise TooLate("too late")
        self.requests.append(request)
        self.deadlines.append(deadline_seconds)
        reply = self._next(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def close(self) -> None:
        self.closed = True

    def _next(self, request: Request) -> Reply:
        if self._answer is not None:
            return self._answer(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def ok(value: object) -> Response:
    return Response(status=200, headers={"content-type": "application/json"}, body=msgspec.json.encode(value))


def refused(status: int, reason: str = "", message: str = "no", headers: Mapping[str, str] | None = None) -> Response:
    body: dict[str, object] = {"code": status, "reason": reason, "message": message, "metadata": {}}
    return Response(status=status, headers=headers or {}, body=msgspec.json.encode(body))


def page(status: int = 200) -> Response:
    return Response(status=status, headers={"content-type": "text/html"}, body=HTML)


def empty(status: int = 200) -> Response:
    return Response(status=status)


def machine(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"m{number}", "name": f"n{number}", "status": "running", "clusterId": "c", **fields}


def novita(
    answers: Iterable[Reply] | Answering, clock: HandClock | None = None, calls_per_minute: int = 0
) -> tuple[Novita, Canned]:
    clock = clock or HandClock()
    transport = Canned(answers)
    cloud = Novita(
        KEY,
        transport=transport,
        calls_per_minute=calls_per_minute,
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        random=Random(1),  # noqa: S311 (jitter)
    )
    return cloud, transport


def order(**changes: object) -> Order:
    spec = Spec(
        regions=("US-CA-06",),
        image_url="docker.io/library/ubuntu:22.04",
        gpu_num=2,
        rootfs_size_gb=80,
        ports=(Port(port=80, type="http"), Port(port=3306, type="tcp")),
        envs=(Env(key="TOKEN", value="env-secret-value"),),
        tools=(Tool(name="Jupyter", port=8888, type="http"),),
        network_storages=(Storage(id="s1", mount_point="/network"),),
        command="sleep 1",
    )
    return Order(
        name="w1-d-i-1",
        marker="d/i/1",
        product_id="4090.16c62g",
        cluster_id="us-ca-6",
        billing_mode=BillingMode.SPOT,
        spec=msgspec.structs.replace(spec, **changes),
    )
