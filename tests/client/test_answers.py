"""Answers about offers, money and auto-stop: what is asked, and the values that come of it."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Struct

from novita_gpu.client import (
    Client,
    WrongUsage,
    answers,
    api_keys,
    catalogue,
    costs,
    idle,
    recovery,
    settings,
    webhooks,
)
from novita_gpu.client.answers import Answer, Part
from novita_gpu.contract import api_keys as made
from novita_gpu.contract import catalogue as offered
from novita_gpu.contract import comprehensive, sync
from novita_gpu.contract import costs as spent
from novita_gpu.contract import events as happened
from novita_gpu.contract import idle as told
from novita_gpu.contract import recovery as taken
from novita_gpu.contract import settings as set_
from novita_gpu.contract import utilisation as busy
from novita_gpu.contract import views as seen
from novita_gpu.contract import webhooks as sent
from tests.client.bodies import (
    API_KEY,
    API_KEYS,
    COSTS,
    DELIVERIES,
    DELIVERY,
    DISCARDED,
    ENDPOINT,
    ENDPOINT_SECRET,
    ENDPOINTS,
    EXPLAINED,
    FAILED_MIGRATIONS,
    FAULT,
    HISTORY,
    NEW_KEY,
    ONE_TEMPLATE,
    PLAN,
    PRODUCTS,
    RECOVERED,
    RECOVERY,
    REFUSED,
    REGIONS,
    REPLAYED,
    SETTINGS,
    STATS,
    TEMPLATES,
    TESTED,
    TRIGGERED,
    USED,
    stale,
)
from tests.client.plane import KEY, Plane, Said, serving

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEFORE = NOON - timedelta(minutes=5)
LATER = NOON + timedelta(minutes=30)
BERLIN = timezone(timedelta(hours=1))


def client_of(plane: Plane) -> Client:
    return Client(plane.url, KEY)


PAIRS: list[tuple[type[Struct], type[Struct]]] = [
    (seen.ErrorView, answers.Failure),
    (seen.PortView, answers.PortMapping),
    (seen.ConnectionView, answers.ConnectionDetails),
    (seen.EndpointView, answers.Endpoint),
    (seen.ReadinessView, answers.Readiness),
    (seen.ImageView, answers.SavedImage),
    (seen.SpotView, answers.Spot),
    (seen.AutoStopView, answers.AutoStop),
    (seen.InstanceView, answers.Instance),
    (seen.InstanceList, answers.InstanceList),
    (comprehensive.ComprehensiveRow, answers.MergedInstance),
    (comprehensive.ComprehensiveView, answers.MergedList),
    (seen.Accepted, answers.Accepted),
    (seen.LastUsedView, answers.LastUsed),
    (seen.BulkRow, answers.BulkRow),
    (seen.BulkView, answers.Bulk),
    (sync.UnclaimedView, answers.Orphan),
    (sync.AdoptedView, answers.Adopted),
    (sync.SyncFault, answers.SyncFault),
    (sync.SyncReport, answers.Synced),
    (happened.EventData, answers.EventData),
    (happened.EventView, answers.Event),
    (happened.EventList, answers.EventPage),
    (offered.PlaceView, catalogue.Place),
    (offered.PriceView, catalogue.Price),
    (offered.ProductView, catalogue.Product),
    (offered.ProductList, catalogue.ProductList),
    (offered.EmptyView, catalogue.Empty),
    (offered.RegionView, catalogue.Region),
    (offered.RegionList, catalogue.RegionList),
    (offered.TemplatePort, catalogue.TemplatePort),
    (offered.TemplateView, catalogue.Template),
    (offered.TemplateList, catalogue.TemplateList),
    (offered.TemplateAnswer, catalogue.TemplateAnswer),
    (spent.BalanceView, costs.Balance),
    (spent.LimitsView, costs.Limits),
    (spent.InstanceCost, costs.InstanceCost),
    (spent.CostsView, costs.Costs),
    (spent.PointView, costs.Point),
    (spent.HistoryView, costs.CostsHistory),
    (set_.SettingView, settings.Setting),
    (set_.SettingList, settings.SettingList),
    (spent.OfferView, costs.Offer),
    (spent.PassedOverView, costs.PassedOver),
    (spent.SpendView, costs.Spend),
    (spent.RefusalView, costs.Refusal),
    (spent.PlanView, costs.Plan),
    (told.CheckView, idle.Check),
    (told.TotalsView, idle.Totals),
    (told.AutoStopStats, idle.AutoStopStats),
    (told.VerdictRow, idle.Verdict),
    (told.TriggerView, idle.Triggered),
    (told.SourceView, idle.Source),
    (told.IdleView, idle.Idleness),
    (told.RegionChoiceView, idle.RegionChoice),
    (told.WaitingView, idle.Waiting),
    (told.ExplainView, idle.Explanation),
    (busy.UsePointView, idle.UsePoint),
    (busy.UtilisationView, idle.Utilisation),
    (taken.RecoveringView, recovery.Recovering),
    (taken.RecoveredView, recovery.Recovered),
    (taken.RecoveryStatus, recovery.RecoveryStatus),
    (taken.RecoveryReport, recovery.RecoveryReport),
    (taken.FailedMigration, recovery.FailedMigration),
    (taken.FailedReport, recovery.FailedMigrations),
    (sent.AttemptView, webhooks.Attempt),
    (sent.DeliveryView, webhooks.Delivery),
    (sent.DeliveryList, webhooks.DeliveryList),
    (sent.ReplayedView, webhooks.Replayed),
    (sent.WebhookTested, webhooks.Tested),
    (sent.WebhookEndpoint, webhooks.WebhookEndpoint),
    (sent.WebhookEndpointSecret, webhooks.WebhookEndpointSecret),
    (sent.WebhookEndpointList, webhooks.WebhookEndpointList),
    (made.KeyLimitsView, api_keys.KeyLimits),
    (made.KeyView, api_keys.Key),
    (made.NewKeyView, api_keys.NewKey),
    (made.KeyList, api_keys.KeyList),
]


@pytest.mark.parametrize(("view", "value"), PAIRS)
def test_every_field_of_the_contract_is_read(view: type[Struct], value: type[Struct]) -> None:
    assert {*value.__struct_encode_fields__} - {"$raw"} == {*view.__struct_encode_fields__}


def test_every_answer_is_held_to_the_contract() -> None:
    """All but those from which others are made."""
    modules = (answers, api_keys, catalogue, costs, idle, recovery, settings, webhooks)
    all_of = {one for module in modules for one in vars(module).values() if isinstance(one, type)}
    values = {one for one in all_of if issubclass(one, Part)} - {Part, Answer, catalogue.OfCloud}
    assert {value.__qualname__ for value in values} == {value.__qualname__ for _, value in PAIRS}


CALLS: list[tuple[Callable[[Client], Awaitable[Answer]], str, dict[str, Any], dict[str, list[str]]]] = [
    (lambda c: c.products(), "GET /api/products", PRODUCTS, {}),
    (
        lambda c: c.products(region="AS-SGP-02", billing_mode="spot"),
        "GET /api/products",
        PRODUCTS,
        {"region": ["AS-SGP-02"], "billingMode": ["spot"]},
    ),
    (lambda c: c.regions(), "GET /api/regions", REGIONS, {}),
    (lambda c: c.templates(), "GET /api/templates", TEMPLATES, {}),
    (lambda c: c.template(20001), "GET /api/templates/20001", ONE_TEMPLATE, {}),
    (lambda c: c.plan("trainer-1", product_id="4090.16c62g"), "POST /api/instances/plan", PLAN, {}),
    (lambda c: c.explain("trainer-1"), "GET /api/instances/trainer-1/explain", EXPLAINED, {}),
    (
        lambda c: c.utilisation("trainer-1", hours=6),
        "GET /api/instances/trainer-1/utilisation",
        USED,
        {"hours": ["6"]},
    ),
    (lambda c: c.auto_stop_stats(), "GET /api/instances/auto-stop/stats", STATS, {}),
    (lambda c: c.auto_stop_trigger(), "POST /api/instances/auto-stop/trigger", TRIGGERED, {}),
    (lambda c: c.migration_status(), "GET /api/instances/migration/status", RECOVERY, {}),
    (lambda c: c.migration_trigger(), "POST /api/instances/migration/trigger", RECOVERED, {}),
    (lambda c: c.migration_check_failed(), "POST /api/instances/migration/check-failed", FAILED_MIGRATIONS, {}),
    (lambda c: c.costs(), "GET /api/costs", COSTS, {}),
    (lambda c: c.costs(limit=0), "GET /api/costs", COSTS, {"limit": ["0"]}),
    (lambda c: c.costs_history(points=2), "GET /api/costs/history", HISTORY, {"points": ["2"]}),
    (lambda c: c.settings(), "GET /api/settings", SETTINGS, {}),
    (
        lambda c: c.deliveries(status=["pending", "exhausted"], host="hook.example:8443", limit=2),
        "GET /api/webhooks/deliveries",
        DELIVERIES,
        {"status": ["pending", "exhausted"], "host": ["hook.example:8443"], "limit": ["2"]},
    ),
    (lambda c: c.replay("msg_1"), "POST /api/webhooks/deliveries/msg_1/replay", DELIVERY, {}),
    (lambda c: c.replay_range(BEFORE, NOON), "POST /api/webhooks/deliveries/replay", REPLAYED, {}),
    (lambda c: c.test_webhook(), "POST /api/webhooks/test", TESTED, {}),
    (lambda c: c.endpoints(), "GET /api/webhooks/endpoints", ENDPOINTS, {}),
    (lambda c: c.add_endpoint("https://hook.example/"), "POST /api/webhooks/endpoints", ENDPOINT_SECRET, {}),
    (lambda c: c.update_endpoint("whe_1", enabled=True), "PATCH /api/webhooks/endpoints/whe_1", ENDPOINT, {}),
    (lambda c: c.remove_endpoint("whe_1"), "DELETE /api/webhooks/endpoints/whe_1", ENDPOINT, {}),
    (lambda c: c.rotate_endpoint("whe_1"), "POST /api/webhooks/endpoints/whe_1/rotate", ENDPOINT_SECRET, {}),
    (lambda c: c.keys(), "GET /api/keys", API_KEYS, {}),
    (lambda c: c.add_key("ci", ["read"], expires_at=NOON), "POST /api/keys", NEW_KEY, {}),
    (lambda c: c.revoke_key("key_1"), "DELETE /api/keys/key_1", API_KEY, {}),
    (
        lambda c: c.costs(since=datetime(2026, 1, 1, 13, tzinfo=BERLIN), until=NOON),
        "GET /api/costs",
        COSTS,
        {"since": ["2026-01-01T12:00:00.000Z"], "until": ["2026-01-31T12:00:00.000Z"]},
    ),
]


@pytest.mark.parametrize(("call", "route", "body", "query"), CALLS)
async def test_each_call_asks_its_route_and_keeps_what_came(
    call: Callable[[Client], Awaitable[Answer]], route: str, body: dict[str, Any], query: dict[str, list[str]]
) -> None:
    later = {**body, "later": {"field": 1}}
    async with serving() as plane, client_of(plane) as client:
        plane.tell(route, Said(body=later))
        answer = await call(client)
    [seen] = plane.seen
    assert (f"{seen.method} {seen.path}", seen.query) == (route, query)
    assert json.loads(answer.raw) == later


async def test_products_have_prices_by_billing_mode_and_what_was_met_empty() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/products", Said(body=stale(PRODUCTS)))
        answer = await client.products()
    card, odd = answer.products
    assert (card.id, card.cpu_per_gpu, card.memory_per_gpu_gb, card.max_rootfs_size) == ("4090.16c62g", 16, 62, 6144)
    on_demand, spot = card.price("onDemand"), card.price("spot")
    assert on_demand
    assert spot
    assert (on_demand.price_per_gpu_hour, on_demand.inventory) == (Decimal("0.3500"), "high")
    assert (spot.available, spot.regions[0].empty_until) == (False, LATER)
    assert odd.price("onDemand") is None
    assert (answer.as_of, answer.stale, answer.fault) == (NOON, True, FAULT)


async def test_regions_and_templates_are_values() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/regions", Said(body=REGIONS))
        plane.tell("GET /api/templates", Said(body=TEMPLATES))
        plane.tell("GET /api/templates/20001", Said(body=ONE_TEMPLATE))
        first, second = (await client.regions()).regions
        [listed] = (await client.templates()).templates
        one = await client.template("20001")
    assert (first.priority, first.network_storage, first.products[1]) == (1, True, "RTX 5090 32GB")
    assert first.empty == (catalogue.Empty(product_id="4090.16c62g", billing_mode="spot", gpu_num=2, until=LATER),)
    assert (second.priority, second.empty, second.display_name) == (None, (), "Germany")
    assert (listed.rootfs_size, listed.ports[1].type, listed.envs, listed.description) == (
        *(80, "tcp"),
        *(("WORKER_MODE",), None),
    )
    assert (one.template.description, one.as_of, one.stale, one.fault) == ("The team's own.", NOON, False, None)


async def test_a_plan_tells_offers_money_and_a_refusal() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("POST /api/instances/plan", Said(body=PLAN), Said(body=REFUSED))
        plan = await client.plan("trainer-1", product_name="RTX 4090 24GB", envs={"a_b": "c"}, gpu_num=2)
        refused = await client.plan("trainer-1", product_name="RTX 4090 24GB")
    asked = plane.seen[0]
    assert asked.body == {
        "name": "trainer-1",
        "productName": "RTX 4090 24GB",
        "gpuNum": 2,
        "envs": [{"key": "a_b", "value": "c"}],
    }
    assert asked.headers["idempotency-key"]
    assert [(one.price_per_hour, one.memory_gb, one.empty_until) for one in plan.offers] == [
        (Decimal("0.7000"), 124, None),
        (Decimal("0.7000"), 124, LATER),
    ]
    assert [(one.rule, one.product_id) for one in plan.passed_over] == [
        ("out_of_stock", "odd"),
        ("not_sold_here", None),
    ]
    assert plan.spend
    assert (plan.spend.per_month, plan.spend.disk_per_day) == (Decimal("510.0000"), Decimal("0.2000"))
    assert plan.balance
    assert (plan.balance.available_usd, plan.balance.hours_left) == (Decimal("98.7600"), 49.5)
    assert (plan.ready_in_seconds, plan.limits.max_instances, plan.refusal) == (252.5, 5, None)
    assert plan.a_stop_may_cost == "Its system disk may be lost."
    assert refused.refusal
    assert (refused.refusal.code, refused.refusal.details) == ("NO_OFFER", [{"region": "AS-SGP-02"}])
    assert (refused.why, refused.spend, refused.ready_in_seconds, refused.limits.max_burn_per_hour) == (None,) * 4


async def test_costs_are_decimals_and_times() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/costs", Said(body=COSTS), Said(body={"limits": {"instances": 0}, "later": 1}))
        answer = await client.costs()
        bare = await client.costs()
    first, second = answer.instances
    assert (answer.since, answer.until) == (datetime(2026, 1, 1, 12, tzinfo=UTC), NOON)
    assert (answer.cost_usd, answer.uncertain_usd, answer.limits.reserved_per_hour) == (
        *(Decimal("12.3500"), Decimal("0.0042")),
        Decimal("0.3500"),
    )
    assert (first.status, first.burn_per_hour) == ("ready", Decimal("0.7083"))
    assert [of.saved_usd for of in (answer, first, second)] == [Decimal("4.2000"), Decimal("4.2000"), Decimal(0)]
    assert (answer.saved_rule, bare.saved_usd) == ("Compute from each stop until it was wanted again.", Decimal(0))
    assert (second.cost_usd, second.disk_usd) == (Decimal("0.3500"), Decimal(0))
    assert (bare.balance, bare.instances, bare.since) == (None, (), None)


async def test_an_explanation_tells_choice_verdict_and_sources() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/instances/trainer-1/explain", Said(body=EXPLAINED), Said(body=DISCARDED))
        running = await client.explain("trainer-1")
        stopped = await client.explain("trainer-1")
    assert (running.desired, running.status_reason, running.as_of) == ("running", "its port [8888] answers", NOON)
    assert running.region_choice
    assert (running.region_choice.attempt, running.region_choice.at) == (2, NOON - timedelta(minutes=30))
    assert running.waiting_for == idle.Waiting(step="rest", reason="as wanted", until=LATER)
    policy = running.auto_stop
    assert (policy.verdict, policy.rule, policy.stops_at, policy.warned_at) == ("active", "idle", LATER, BEFORE)
    assert [(one.source, one.at, one.decides) for one in policy.sources] == [
        ("heartbeat", BEFORE, True),
        ("gpu", None, False),
        ("pin", None, True),
    ]
    assert policy.to_keep_it[0] == "a heartbeat (PUT …/last-used)"
    assert (stopped.region_choice, stopped.auto_stop.stops_at) == (None, None)
    assert (stopped.auto_stop.enabled, stopped.auto_stop.deletes_at) == (False, NOON + timedelta(days=1))


async def test_a_check_has_a_verdict_of_each_and_stats_keep_the_last() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("POST /api/instances/auto-stop/trigger", Said(body=TRIGGERED))
        plane.tell("GET /api/instances/auto-stop/stats", Said(body=STATS), Said(body={"schedulerRunning": False}))
        dry = await client.auto_stop_trigger()
        await client.auto_stop_trigger(dry_run=False)
        stats = await client.auto_stop_stats()
        bare = await client.auto_stop_stats()
    assert [seen.body for seen in plane.seen[:2]] == [{"dryRun": True}, {"dryRun": False}]
    assert all(seen.headers["idempotency-key"] for seen in plane.seen[:2])
    assert (dry.total_checked, dry.eligible, dry.stopped, dry.errors) == (3, 2, 1, 1)
    stopping, failed, young = dry.results
    assert (stopping.outcome, stopping.stops_at, stopping.error) == ("stopping", NOON, None)
    assert failed.error
    assert (failed.error.code, failed.error.at) == ("NOT_ANSWERED", NOON)
    assert (young.rule, young.stops_at, young.status) == (None, None, "creating")
    assert stats.last_result
    assert (stats.last_result.duration_ms, stats.last_result.dry_run) == (12.5, False)
    assert (stats.last_check_at, stats.next_check_at, stats.check_interval_minutes) == (BEFORE, NOON, 5.0)
    assert (stats.totals.saved_usd, stats.totals.checks) == (Decimal("12.3400"), 120)
    assert (bare.last_result, bare.next_check_at, bare.totals.saved_usd) == (None, None, Decimal(0))


@pytest.mark.parametrize("template_id", ["", "a/b", "..", "1?x=2"])
async def test_what_can_be_no_template_is_not_asked_for(template_id: str) -> None:
    async with serving() as plane, client_of(plane) as client:
        with pytest.raises(WrongUsage):
            await client.template(template_id)
    assert plane.seen == []


async def test_what_is_being_brought_back_has_its_times_and_stage() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/instances/migration/status", Said(body=RECOVERY))
        plane.tell("POST /api/instances/migration/check-failed", Said(body=FAILED_MIGRATIONS))
        status = await client.migration_status()
        failed = await client.migration_check_failed(dry_run=True)
    (waits,), (back,) = status.recovering, status.last
    assert (waits.stage, waits.next_at, waits.begun_at) == ("waiting", LATER, None)
    assert (back.seconds_lost, back.at) == (42, NOON)
    assert [(one.newest, one.outcome, one.error) for one in failed.results] == [(True, "due", None)]
    assert plane.seen[1].body == {"dryRun": True}


async def test_deliveries_tell_each_try_and_a_range_is_asked_for_in_utc() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("GET /api/webhooks/deliveries", Said(body=DELIVERIES))
        plane.tell("POST /api/webhooks/deliveries/replay", Said(202, REPLAYED))
        plane.tell("POST /api/webhooks/test", Said(202, TESTED))
        page = await client.deliveries()
        replayed = await client.replay_range(BEFORE.astimezone(BERLIN), NOON, status=["exhausted"], instance_id="a")
        tested = await client.test_webhook("https://hook.example/")
    first, second = page.deliveries
    assert [(made.status_code, made.error, made.duration_ms) for made in first.attempts] == [
        (None, "no answer within 15 s", 15001),
        (500, None, 8),
    ]
    assert (first.next_try_at, second.next_try_at, page.next_cursor) == (NOON + timedelta(minutes=30), None, "41")
    assert (replayed.count, tested.deliveries[0].id) == (3, "msg_1")
    assert [seen.body for seen in plane.seen[1:]] == [
        {
            "since": "2026-01-31T11:55:00.000Z",
            "until": "2026-01-31T12:00:00.000Z",
            "status": ["exhausted"],
            "instanceId": "a",
        },
        {"url": "https://hook.example/"},
    ]
    assert all(seen.headers["idempotency-key"] for seen in plane.seen[1:])


async def test_an_endpoint_is_asked_for_as_it_is_and_its_secret_does_not_print() -> None:
    async with serving() as plane, client_of(plane) as client:
        plane.tell("POST /api/webhooks/endpoints", Said(201, ENDPOINT_SECRET))
        plane.tell("PATCH /api/webhooks/endpoints/whe_1", Said(200, ENDPOINT))
        made = await client.add_endpoint("https://hook.example/", types=("instance.ready",))
        changed = await client.update_endpoint("whe_1", types=[], url="https://other.example/")
    assert [seen.body for seen in plane.seen] == [
        {"url": "https://hook.example/", "types": ["instance.ready"]},
        {"types": [], "url": "https://other.example/"},
    ]
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert (changed.enabled, changed.failing_since, changed.types) == (
        False,
        NOON - timedelta(days=5),
        ("instance.ready",),
    )
