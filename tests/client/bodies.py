"""Whole answers of the service about offers and money, with every field that it may give."""

from typing import Any

from tests.client.plane import AT, INS

LATER = "2026-01-31T12:30:00.000Z"
FAULT = "calls to it are paused."


def place(region: str, cluster_id: str, **more: Any) -> dict[str, Any]:
    return {"region": region, "clusterId": cluster_id, **more}


PRODUCTS: dict[str, Any] = {
    "products": [
        {
            "id": "4090.16c62g",
            "name": "RTX 4090 24GB",
            "cpuPerGpu": 16,
            "memoryPerGpuGb": 62,
            "minRootfsSize": 10,
            "maxRootfsSize": 6144,
            "prices": [
                {
                    "billingMode": "onDemand",
                    "pricePerGpuHour": "0.3500",
                    "available": True,
                    "inventory": "high",
                    "regions": [place("AS-SGP-02", "as-sgp-2"), place("CN-HK-01", "cn-hk-1", emptyUntil=LATER)],
                },
                {
                    "billingMode": "spot",
                    "pricePerGpuHour": "0.1750",
                    "available": False,
                    "inventory": "none",
                    "regions": [place("AS-SGP-02", "as-sgp-2", emptyUntil=LATER)],
                },
            ],
        },
        {
            "id": "odd",
            "name": "[red]odd",
            "cpuPerGpu": 8,
            "memoryPerGpuGb": 31,
            "minRootfsSize": 10,
            "maxRootfsSize": 100,
            "prices": [
                {
                    "billingMode": "spot",
                    "pricePerGpuHour": "1.2500",
                    "available": True,
                    "regions": [place("US-CA-06", "us-ca-6"), place("US-CA-06", "us-ca-7")],
                }
            ],
        },
    ],
    "asOf": AT,
}
REGIONS: dict[str, Any] = {
    "regions": [
        {
            "id": "as-sgp-2",
            "name": "AS-SGP-02",
            "displayName": "Singapore",
            "priority": 1,
            "networkStorage": True,
            "products": ["RTX 4090 24GB", "RTX 5090 32GB"],
            "empty": [{"productId": "4090.16c62g", "billingMode": "spot", "gpuNum": 2, "until": LATER}],
        },
        {
            "id": "eu-de-1",
            "name": "EU-DE-01",
            "displayName": "Germany",
            "networkStorage": False,
            "products": [],
            "empty": [],
        },
    ],
    "asOf": AT,
}
TEMPLATE: dict[str, Any] = {
    "id": "20001",
    "name": "team-worker",
    "channel": "private",
    "imageUrl": "registry.example.com/team/worker:1.4",
    "rootfsSize": 80,
    "ports": [{"port": 8188, "type": "http"}, {"port": 22, "type": "tcp"}],
    "envs": ["WORKER_MODE"],
    "tools": ["Jupyter"],
    "minCudaVersion": "12.4",
    "registryAuth": "team",
}
TEMPLATES: dict[str, Any] = {"templates": [TEMPLATE], "asOf": AT}
ONE_TEMPLATE: dict[str, Any] = {"template": {**TEMPLATE, "description": "The team's own."}, "asOf": AT}
BALANCE: dict[str, Any] = {"availableUsd": "98.7600", "hoursLeft": 49.5, "asOf": AT}
LIMITS: dict[str, Any] = {
    "instances": 1,
    "reservedPerHour": "0.3500",
    "maxInstances": 5,
    "maxBurnPerHour": "2.0000",
    "maxPricePerHour": "1.0000",
}


def offer(region: str, **more: Any) -> dict[str, Any]:
    return {
        "region": region,
        "clusterId": region.lower(),
        "productId": "4090.16c62g",
        "productName": "RTX 4090 24GB",
        "billingMode": "onDemand",
        "gpuNum": 2,
        "cpuNum": 32,
        "memoryGb": 124,
        "pricePerHour": "0.7000",
        **more,
    }


PLAN: dict[str, Any] = {
    "name": "trainer-1",
    "imageUrl": "docker.io/library/ubuntu:22.04",
    "rootfsSize": 100,
    "offers": [offer("AS-SGP-02"), offer("CN-HK-01", emptyUntil=LATER)],
    "passedOver": [
        {"region": "AS-SGP-02", "productId": "odd", "rule": "out_of_stock", "reason": "odd is out of stock"},
        {"region": "AS-IN-01", "rule": "not_sold_here", "reason": "the product is not offered there"},
    ],
    "why": "the first of 2 offers by region, then price",
    "spend": {"perHour": "0.7083", "perDay": "17.0000", "perMonth": "510.0000", "diskPerDay": "0.2000"},
    "readyInSeconds": 252.5,
    "balance": BALANCE,
    "limits": LIMITS,
    "message": "Once ready it is stopped after 20 minutes.",
    "asOf": AT,
}
REFUSED: dict[str, Any] = {
    "name": "trainer-1",
    "imageUrl": "docker.io/library/ubuntu:22.04",
    "rootfsSize": 60,
    "offers": [],
    "passedOver": PLAN["passedOver"],
    "balance": {"availableUsd": "-3.5000", "asOf": AT},
    "limits": {"instances": 0, "reservedPerHour": "0.0000"},
    "refusal": {"code": "NO_OFFER", "message": "No region offers [it].", "details": [{"region": "AS-SGP-02"}]},
    "message": "It is not stopped for idleness.",
    "asOf": AT,
}
COSTS: dict[str, Any] = {
    "since": "2026-01-01T12:00:00.000Z",
    "until": AT,
    "costUsd": "12.3500",
    "computeUsd": "12.0000",
    "diskUsd": "0.3500",
    "uncertainUsd": "0.0042",
    "burnPerHour": "0.7083",
    "balance": BALANCE,
    "limits": LIMITS,
    "instances": [
        {
            "instanceId": INS,
            "name": "trainer-1",
            "status": "ready",
            "costUsd": "12.0000",
            "computeUsd": "11.6500",
            "diskUsd": "0.3500",
            "uncertainUsd": "0.0042",
            "burnPerHour": "0.7083",
        },
        {
            "instanceId": "ins_00000000000000000000000002",
            "name": "[red]odd",
            "status": "deleted",
            "costUsd": "0.3500",
            "computeUsd": "0.3500",
            "diskUsd": "0.0000",
            "uncertainUsd": "0.0000",
            "burnPerHour": "0.0000",
        },
    ],
    "rule": "Compute from pulling until stopped.",
}


def stale(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "stale": True, "fault": FAULT}
