"""The Python client: `Client` for asyncio, `SyncClient` for everything else.

with SyncClient(key=key) as gpus:
    gpus.create("trainer-1", product_name="RTX 4090 24GB", image_url="docker.io/library/ubuntu:22.04")
    trainer = gpus.wait_ready("trainer-1")
    with gpus.in_use("trainer-1"):
        train(trainer.port_mappings)
"""

from novita_gpu.client.answers import Accepted, Event, Instance, InstanceList
from novita_gpu.client.blocking import SyncClient
from novita_gpu.client.catalogue import ProductList, RegionList, TemplateAnswer, TemplateList
from novita_gpu.client.costs import Costs, Plan
from novita_gpu.client.errors import (
    ApiError,
    ClientError,
    InstanceFailed,
    NotReachable,
    Unreadable,
    WaitTimeout,
    WrongUsage,
)
from novita_gpu.client.idle import AutoStopStats, Explanation, Triggered, Utilisation
from novita_gpu.client.instances import Use
from novita_gpu.client.plain import DEFAULT_URL, Client
from novita_gpu.client.transport import NO_RETRY, Retry

__all__ = [
    "DEFAULT_URL",
    "NO_RETRY",
    "Accepted",
    "ApiError",
    "AutoStopStats",
    "Client",
    "ClientError",
    "Costs",
    "Event",
    "Explanation",
    "Instance",
    "InstanceFailed",
    "InstanceList",
    "NotReachable",
    "Plan",
    "ProductList",
    "RegionList",
    "Retry",
    "SyncClient",
    "TemplateAnswer",
    "TemplateList",
    "Triggered",
    "Unreadable",
    "Use",
    "Utilisation",
    "WaitTimeout",
    "WrongUsage",
]
