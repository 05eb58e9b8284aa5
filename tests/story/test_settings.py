"""Settings that contradict each other are told of by name, before anything starts."""

import pytest

from novita_gpu.settings import Settings, WrongSettings
from tests.plane import KEY, Service
from tests.webhooks.receiver import SECRET


def faults(**given: object) -> dict[str, str]:
    with pytest.raises(WrongSettings) as wrong:
        Settings.load(novita_api_key="sim-key", **given)
    return dict(wrong.value.faults)


def test_a_ceiling_below_the_default_is_refused() -> None:
    told = faults(auto_stop_idle_minutes=30, auto_stop_max_idle_minutes=20)
    assert told == {"AUTO_STOP_MAX_IDLE_MINUTES": "must not be less than AUTO_STOP_IDLE_MINUTES, which is 30"}


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
    settings = Settings.load(novita_api_key="k", webhook_url="https://me:hush@hook.example/")
    assert {one.name: one.value for one in settings.told()}["WEBHOOK_URL"] == "https://***@hook.example/"
