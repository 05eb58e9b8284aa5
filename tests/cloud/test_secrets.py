"""The key, and what callers put into environments, appear in no error, no representation and no log."""

import io
import traceback

import pytest
import structlog
from canned import KEY, Reply, empty, novita, ok, order, page, refused
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from novita_gpu.cloud.base import CloudError
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import HttpTransport, NoAnswer, NotSent, Request
from novita_gpu.domain.instance import CloudId


def everything_about(error: BaseException) -> str:
    """A traceback as a debugger's log would show it: with the values of every local variable, by both printers."""
    plain = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    console = Console(file=io.StringIO(), width=400)
    console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    assert isinstance(console.file, io.StringIO)
    return plain + console.file.getvalue() + repr(error) + str(error)


@pytest.mark.parametrize(
    "failure",
    [
        refused(401, "", f"bad key {KEY}"),
        refused(400, f"KEY {KEY}", KEY),
        page(403),
        NotSent("dns"),
        NoAnswer("cut"),
        empty(),
    ],
)
async def test_no_error_shows_the_key(failure: Reply) -> None:
    cloud, _ = novita([failure])
    with capture_logs() as logs, pytest.raises(CloudError) as caught:
        await cloud.create(order(envs=()), send_by=2000)
    assert KEY not in everything_about(caught.value)
    assert KEY not in repr(logs)


async def test_no_error_of_the_real_transport_shows_the_key() -> None:
    cloud = Novita(KEY, root="http://127.0.0.1:1", transport=HttpTransport())
    with pytest.raises(CloudError) as caught:
        await cloud.stop(CloudId("m1"))
    assert KEY not in everything_about(caught.value)
    await cloud.close()


async def test_an_error_that_repeats_the_order_is_cleaned() -> None:
    cloud, _ = novita([refused(400, "VALIDATOR_PARAM", "invalid env value 'env-secret-value'")])
    with pytest.raises(CloudError) as caught:
        await cloud.create(order(), send_by=2000)
    assert caught.value.message == "invalid env value '***'"


def test_no_representation_shows_the_key() -> None:
    cloud, _ = novita([empty()])
    request = Request(method="GET", url="https://a", headers=(("Authorization", KEY),), body=KEY.encode())
    for value in (cloud, request):
        assert KEY not in repr(value) + str(value) + pretty_repr(value)


@pytest.mark.parametrize("key", ["a\r\nX: y", "a b", "schlüssel", "a\x00"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="holds characters") as caught:
        Novita(key)
    assert key not in str(caught.value)


async def test_the_correlation_id_goes_along() -> None:
    cloud, transport = novita([ok({"data": []})])
    with bound_contextvars(correlation_id="req-1"):
        await cloud.clusters()
    await cloud.clusters()
    for strange in ("a\r\nb", "", "x" * 500, 7):
        with bound_contextvars(correlation_id=strange):
            await cloud.clusters()
    sent = [dict(request.headers).get("X-Correlation-ID") for request in transport.requests]
    assert sent == ["req-1", None, None, None, None, None]
    structlog.contextvars.clear_contextvars()
