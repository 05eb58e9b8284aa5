"""Whole answers of the service about offers, money and auto-stop, with every field that it may give."""

from typing import Any

from tests.client.plane import AT, INS

BEFORE = "2026-01-31T11:55:00.000Z"
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
    "aStopMayCost": "Its system disk may be lost.",
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
    "aStopMayCost": "Its system disk may be lost.",
    "asOf": AT,
}
COSTS: dict[str, Any] = {
    "since": "2026-01-01T12:00:00.000Z",
    "until": AT,
    "costUsd": "12.3500",
    "computeUsd": "12.0000",
    "diskUsd": "0.3500",
    "uncertainUsd": "0.0042",
    "savedUsd": "4.2000",
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
            "savedUsd": "4.2000",
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
            "savedUsd": "0.0000",
            "burnPerHour": "0.0000",
        },
    ],
    "rule": "Compute from pulling until stopped.",
    "savedRule": "Compute from each stop until it was wanted again.",
}
USED: dict[str, Any] = {
    "instanceId": INS,
    "since": BEFORE,
    "until": AT,
    "points": [{"at": BEFORE, "gpu": 3.0, "gpuMemory": 40.0}, {"at": AT, "gpu": 97.5}],
}
EXPLAINED: dict[str, Any] = {
    "instanceId": INS,
    "name": "trainer-1",
    "status": "ready",
    "desired": "running",
    "statusReason": "its port [8888] answers",
    "asOf": AT,
    "regionChoice": {
        "attempt": 2,
        "region": "AS-SGP-02",
        "productId": "4090.16c62g",
        "reason": "the first of 2 offers by region, then price",
        "at": "2026-01-31T11:30:00.000Z",
    },
    "waitingFor": {"step": "rest", "reason": "as wanted", "until": LATER},
    "autoStop": {
        "enabled": True,
        "verdict": "active",
        "rule": "idle",
        "reason": "in use (heartbeat: last heartbeat)",
        "stopsAt": LATER,
        "warnedAt": BEFORE,
        "sources": [
            {"source": "heartbeat", "state": "active", "at": BEFORE, "reason": "last heartbeat", "decides": True},
            {"source": "gpu", "state": "unknown", "reason": "the cloud has no figures of it", "decides": False},
            {"source": "pin", "state": "idle", "reason": "no pin", "decides": True},
        ],
        "toKeepIt": ["a heartbeat (PUT …/last-used)", "a pin (PATCH autoStop.pinnedUntil)"],
        "aStopMayCost": "Its system disk may be lost.",
    },
}
DISCARDED: dict[str, Any] = {
    "instanceId": INS,
    "name": "trainer-1",
    "status": "stopped",
    "desired": "stopped",
    "asOf": AT,
    "waitingFor": {"step": "warnDiscard", "reason": "stopped for 7 days"},
    "autoStop": {
        "enabled": False,
        "verdict": "unknown",
        "reason": "it is not meant to run",
        "sources": [],
        "toKeepIt": ["a start"],
        "aStopMayCost": "Its system disk may be lost.",
        "deletesAt": "2026-02-01T12:00:00.000Z",
    },
}
CHECK: dict[str, Any] = {
    "totalChecked": 3,
    "eligible": 2,
    "stopped": 1,
    "errors": 1,
    "dryRun": False,
    "durationMs": 12.5,
}
STATS: dict[str, Any] = {
    "schedulerRunning": True,
    "checkIntervalMinutes": 5.0,
    "defaultInactivityThresholdMinutes": 20.0,
    "lastCheckAt": BEFORE,
    "nextCheckAt": AT,
    "lastResult": CHECK,
    "totals": {"checks": 120, "stopped": 7, "errors": 1, "savedUsd": "12.3400"},
    "savedRule": "Compute from each stop until it was wanted again.",
}


def checked(name: str, outcome: str, **more: Any) -> dict[str, Any]:
    return {
        "instanceId": INS,
        "name": name,
        "status": "ready",
        "verdict": "idle",
        "rule": "idle",
        "reason": "no heartbeat for 20 minutes",
        "stopsAt": AT,
        "outcome": outcome,
        **more,
    }


FAILURE: dict[str, Any] = {"code": "NOT_ANSWERED", "message": "No pass decided about it in time.", "at": AT}
YOUNG: dict[str, Any] = {
    "instanceId": INS,
    "name": "[red]young",
    "status": "creating",
    "verdict": "unknown",
    "reason": "it is not ready yet",
    "outcome": "none",
}
TRIGGERED: dict[str, Any] = {
    **CHECK,
    "results": [checked("trainer-1", "stopping"), checked("trainer-2", "failed", error=FAILURE), YOUNG],
    "message": "Of 3, 1 are being stopped and 0 were warned.",
}


def stale(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "stale": True, "fault": FAULT}


WAITING: dict[str, Any] = {
    "instanceId": "ins_1",
    "name": "trainer-1",
    "status": "migrating",
    "stage": "waiting",
    "reason": "the cloud took its spot machine",
    "by": "migrate",
    "lostAt": "2026-01-31T12:00:00.000Z",
    "nextAt": "2026-01-31T12:30:00.000Z",
    "recoveriesToday": 1,
    "maxPerDay": 3,
}
BACK: dict[str, Any] = {
    "instanceId": "ins_2",
    "at": "2026-01-31T12:00:00.000Z",
    "secondsLost": 42,
    "by": "recreate",
    "region": "CN-HK-01",
}
RECOVERY: dict[str, Any] = {
    "onReclaim": "migrate",
    "maxPerDay": 3,
    "minIntervalMinutes": 30.0,
    "spotInstances": 2,
    "recovering": [WAITING],
    "last": [BACK],
}
RECOVERED: dict[str, Any] = {"dryRun": False, "results": [WAITING], "message": "1 are being brought back."}
FAILED_MIGRATIONS: dict[str, Any] = {
    "dryRun": True,
    "totalChecked": 2,
    "results": [
        {
            "jobId": "10wi9visv0rqt57w",
            "type": "instanceMigrate",
            "state": "fail",
            "instanceId": "ins_1",
            "name": "trainer-1",
            "status": "migrating",
            "newest": True,
            "outcome": "due",
            "reason": "it is meant to run and has exited",
        }
    ],
    "message": "1 failed migrations are of our machines.",
}

DELIVERY = {
    "id": "msg_1",
    "eventId": "evt_1",
    "type": "instance.ready",
    "sequence": 12,
    "status": "pending",
    "host": "hook.example:8443",
    "instanceId": "ins_00000000000000000000000001",
    "endpointId": "whe_1",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "nextTryAt": "2026-01-31T12:30:00.000Z",
    "attempts": [
        {"at": "2026-01-31T12:00:00.000Z", "durationMs": 15001, "error": "no answer within 15 s"},
        {"at": "2026-01-31T12:00:05.000Z", "durationMs": 8, "statusCode": 500, "answer": "[red]out\nof order"},
    ],
}
DELIVERED = {
    **{k: v for k, v in DELIVERY.items() if k != "nextTryAt"},
    "id": "msg_0",
    "status": "delivered",
    "attempts": [],
}
DELIVERIES = {"deliveries": [DELIVERY, DELIVERED], "nextCursor": "41"}
REPLAYED = {"count": 3, "message": "3 will be sent again."}
TESTED = {"eventId": "evt_1", "sequence": 12, "deliveries": [DELIVERY], "message": "Sent to hook.example:8443."}
ENDPOINT = {
    "id": "whe_1",
    "url": "https://hook.example/[red]",
    "types": ["instance.ready"],
    "enabled": False,
    "offReason": "nothing but failures for 5 days",
    "failingSince": "2026-01-26T12:00:00.000Z",
    "secretBeforeUntil": "2026-02-01T12:00:00.000Z",
    "createdAt": "2026-01-01T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
}
API_KEY = {
    "id": "key_1",
    "name": "ci",
    "scopes": ["admin"],
    "limits": {"maxInstances": 2, "maxUsdPerHour": "1.5000", "regions": ["AS-SGP-02"]},
    "createdAt": "2026-01-01T12:00:00.000Z",
    "createdBy": "admin",
    "expiresAt": "2026-03-01T12:00:00.000Z",
    "expired": False,
    "lastUsedAt": "2026-01-31T12:00:00.000Z",
}
API_KEYS = {"keys": [API_KEY]}
NEW_KEY = {**API_KEY, "key": "ngpu_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
ENDPOINTS = {"endpoints": [ENDPOINT]}
ENDPOINT_SECRET = {**ENDPOINT, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

HISTORY: dict[str, Any] = {
    "since": "2026-01-31T11:00:00.000Z",
    "until": "2026-01-31T12:00:00.000Z",
    "points": [
        {"at": "2026-01-31T11:00:00.000Z", "running": 1, "burnPerHour": "0.3583"},
        {"at": "2026-01-31T12:00:00.000Z", "running": 0, "burnPerHour": "0.0000"},
    ],
}
SETTINGS: dict[str, Any] = {
    "settings": [
        {"name": "PORT", "value": "3000", "default": "3000", "description": "Port to listen on.", "secret": False},
        {"name": "NOVITA_API_KEY", "value": "***", "description": "Key of the account.", "secret": True},
    ]
}
