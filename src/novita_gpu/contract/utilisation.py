"""How busy the GPUs of an instance are, as the cloud measures it."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Time
from novita_gpu.contract.views import View

Percent = Annotated[float, Meta(ge=0, description="Of the busiest GPU, in percent.")]


class UtilisationQuery(Request, frozen=True, kw_only=True):
    hours: Annotated[int, Meta(ge=1, le=24, description="How far back.")] = 1


class UsePointView(View, frozen=True, kw_only=True):
    """A figure that the cloud did not measure is left out: it is not a zero."""

    at: Time
    gpu: Percent | None = None
    gpu_memory: Percent | None = None


class UtilisationView(View, frozen=True, kw_only=True):
    """Of its present machine, about a minute late; no points where it has none, or does not run."""

    instance_id: str
    since: Time
    until: Annotated[Time, Meta(description="When the cloud was asked: once a minute at most.")]
    stale: Annotated[str, Meta(description="Why there is nothing newer; left out where there is.")] | None = None
    points: tuple[UsePointView, ...]
