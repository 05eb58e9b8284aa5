"""Settings that contradict each other are told of by name, before anything starts."""

import pytest

from novita_gpu.settings import Settings, WrongSettings
from tests.plane import KEY, Service
from tests.webhooks.receiver import SECRET


def faults(**given: object) -> dict[str, str]:
    with pytest.raises(WrongSettings) as wrong:
        Settings.load(**{"novita_api_key": "sim-key", **given})
    return dict(wrong.value.faults)


def test_a_ceiling_below_the_default_is_refused() -> None:
    told = faults(auto_stop_idle_minutes=30, auto_stop_max_idle_minutes=20)
    assert told == {"AUTO_STOP_MAX_IDLE_MINUTES": "must not be less than AUTO_STOP_IDLE_MINUTES, which is 30"}


@pytest.mark.parametrize("minutes", ["0", "0.5", "1.5", "10081"])
def test_the_default_of_idleness_is_what_an_instance_may_ask_for(minutes: str) -> None:
    assert set(faults(auto_stop_idle_minutes=minutes)) == {"AUTO_STOP_IDLE_MINUTES"}


def test_every_wrong_one_is_told_of_at_once() -> None:
    told = faults(auto_stop_activity="vibes", delete_stopped_after_days=0, auto_stop_warn_minutes=-1)
    assert set(told) == {"AUTO_STOP_ACTIVITY", "DELETE_STOPPED_AFTER_DAYS", "AUTO_STOP_WARN_MINUTES"}


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12"""
    for name in ("AUTO_STOP_MAX_IDLE_MINUTES", "DELETE_STOPPED_AFTER_DAYS", "AUTO_STOP_ACTIVITY"):
        monkeypatch.setenv(name, "")
    settings = Settings.load(novita_api_key="sim-key")
    assert (settings.auto_stop_max_idle_minutes, settings.delete_stopped_after_days) == (None, None)
    assert settings.auto_stop_activity.value == "heartbeat"


def test_what_is_set_for_webhooks_is_checked_at_start() -> None:
    told = faults(
        webhook_secret="secret",
        webhook_secret_before="whsec_c2hvcnQ=",
        webhook_ports="80,web",
        webhook_allow_private="10.0.0.1/8",
    )
    assert {name.partition(".")[0] for name in told} == {
        *("WEBHOOK_SECRET", "WEBHOOK_SECRET_BEFORE", "WEBHOOK_PORTS", "WEBHOOK_ALLOW_PRIVATE")
    }
    assert told["WEBHOOK_SECRET"] == "must be whsec_ and 24 to 64 bytes in base64"
    given = Settings.load(
        novita_api_key="sim-key", webhook_ports="443, 8443", webhook_allow_private="10.0.0.0/8,::1/128"
    )
    assert given.webhook_ports == (443, 8443)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://", "it names no host"),
        ("http://10.0.0.1/", "the address is not on the public internet"),
        ("https://hook.internal/", "the name is one of a private network"),
        ("https://hook.example:8443/", "port 8443 is not one of 80, 443"),
        ("https://me:hush@hook.example/", "it must not hold a user or a password"),
    ],
)
def test_a_receiver_that_would_never_be_called_is_a_wrong_setting(url: str, why: str) -> None:
    told = faults(webhook_url=url)["WEBHOOK_URL"]
    assert why in told
    assert "hush" not in told


def test_a_receiver_may_be_where_the_operator_allows_it() -> None:
    Settings.load(webhook_url="http://10.0.0.1:9000/", webhook_allow_private="10.0.0.0/8")
    Settings.load(webhook_url="https://hook.example:8443/", webhook_ports="8443")


def test_networks_that_are_wrong_are_told_of_and_not_the_receiver() -> None:
    told = faults(webhook_url="http://10.0.0.1/", webhook_allow_private="10.0.0.1/8")
    assert set(told) == {"WEBHOOK_ALLOW_PRIVATE"}


@pytest.mark.parametrize("key", [" ", "a b", "sk_é", "sk\n1"])
def test_a_key_that_no_header_can_hold_is_told_of_and_not_shown(key: str) -> None:
    told = faults(novita_api_key=key, admin_api_key=key * 9, axiom_token=key, axiom_dataset="lines")
    assert set(told) == {"NOVITA_API_KEY", "ADMIN_API_KEY", "AXIOM_TOKEN"}
    assert not key.strip() or key not in str(told)


def test_all_forms_of_the_clouds_address_are_one() -> None:
    given = Settings.load(novita_api_base_url="https://api.novita.ai/gpu-instance/openapi/v1/")
    assert given.novita_api_base_url == Settings.load().novita_api_base_url


async def test_s6_those_in_force_are_told_without_secrets(service: Service) -> None:
    answer = await service.get("/settings")
    told = {one["name"]: one for one in answer.json["settings"]}
    assert told["POLL_MOVING_SECONDS"]["value"] == "0.1"
    assert told["POLL_MOVING_SECONDS"]["default"] == "2"
    assert (told["ADMIN_API_KEY"]["value"], told["ADMIN_API_KEY"]["secret"]) == ("***", True)
    assert "value" not in told["MAX_INSTANCES"]
    for secret in (KEY, SECRET, "sim-key"):
        assert secret.encode() not in answer.body


def test_who_an_address_is_asked_as_is_not_told() -> None:
    settings = Settings.load(novita_api_key="k", otel_exporter_otlp_endpoint="https://me:hush@traces.example/")
    told = {one.name: one.value for one in settings.told()}
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://***@traces.example/"
