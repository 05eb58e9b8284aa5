"""What the operator's settings mean to those who decide."""

from datetime import timedelta

from msgspec.structs import replace

from novita_gpu.contract.settings import SettingView
from novita_gpu.control.ceilings import Ceilings
from novita_gpu.control.commands import Defaults
from novita_gpu.domain.case import Policy
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.limits import Limits
from novita_gpu.domain.money import compute_rate, price_limit
from novita_gpu.domain.orphans import OrphanPolicy
from novita_gpu.domain.recovery import RecoveryPolicy
from novita_gpu.domain.spec import AutoStop, Recovery
from novita_gpu.settings import Settings
from novita_gpu.store.pace import LOCAL, PACES, Pace


def pace_of(settings: Settings) -> Pace:
    """Listings may follow each other faster than a server of one's own is asked by itself."""
    pace = PACES[settings.redis_profile]
    return replace(pace, schedule=min(pace.schedule, settings.moving)) if pace is LOCAL else pace


def settings_view(settings: Settings) -> tuple[SettingView, ...]:
    """What an admin is told of them."""
    return tuple(
        SettingView(
            name=one.name, value=one.value, default=one.default, description=one.description, secret=one.is_secret
        )
        for one in settings.told()
    )


def policy_of(settings: Settings) -> Policy:
    return Policy(
        settle=timedelta(seconds=settings.create_settle_seconds),
        launch_timeout=timedelta(minutes=settings.launch_timeout_minutes),
        not_ready_stop=timedelta(minutes=settings.not_ready_stop_minutes),
        idle=idle_policy_of(settings),
        recovery=RecoveryPolicy(pause=timedelta(minutes=settings.recovery_min_interval_minutes)),
        orphans=OrphanPolicy(
            delete=settings.orphan_policy == "delete", grace=timedelta(minutes=settings.orphan_grace_minutes)
        ),
    )


def idle_policy_of(settings: Settings) -> IdlePolicy:
    days = settings.delete_stopped_after_days
    return IdlePolicy(
        on=settings.auto_stop_enabled,
        warn=timedelta(minutes=settings.auto_stop_warn_minutes),
        discard=None if days is None else timedelta(days=days),
    )


def defaults_of(settings: Settings) -> Defaults:
    most = settings.auto_stop_max_idle_minutes
    return Defaults(
        auto_stop=AutoStop(
            idle=timedelta(minutes=settings.auto_stop_idle_minutes), activity=settings.auto_stop_activity
        ),
        recovery=Recovery(
            on_reclaim=settings.recovery_on_reclaim,
            max_per_day=settings.recovery_max_per_day,
            when_unsure=settings.recovery_when_unsure,
            image_repository=settings.recovery_image_repository or "",
            image_auth_id=settings.recovery_image_auth_id or "",
        ),
        on_start_capacity=settings.on_start_capacity,
        ceilings=Ceilings(
            max_idle=None if most is None else timedelta(minutes=most),
            only_with_volume=settings.auto_stop_only_with_network_volume,
        ),
        idle=idle_policy_of(settings),
    )


def limits_of(settings: Settings) -> Limits:
    burn, price = settings.max_burn_usd_per_hour, settings.max_price_usd_per_hour
    return Limits(
        max_instances=settings.max_instances,
        max_burn=None if burn is None else compute_rate(price_limit(burn)),
        max_price=None if price is None else price_limit(price),
    )
