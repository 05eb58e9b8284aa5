"""The settings in force."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.views import View


class SettingView(View, frozen=True, kw_only=True):
    """`value` is absent where it is not set and has no default."""

    name: Annotated[str, Meta(examples=["AUTO_STOP_IDLE_MINUTES"])]
    value: Annotated[str, Meta(description="As it is spelled in the environment; a secret is `***`.")] | None = None
    default: str | None = None
    description: str
    secret: bool


class SettingList(View, frozen=True, kw_only=True):
    settings: tuple[SettingView, ...]
