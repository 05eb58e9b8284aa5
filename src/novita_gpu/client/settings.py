"""The settings in force, as the service answers them."""

from novita_gpu.client.answers import Answer, Part


class Setting(Part, frozen=True, kw_only=True):
    """`value` is None where it is not set and has no default; a secret that is set is stars."""

    name: str = ""
    value: str | None = None
    default: str | None = None
    description: str = ""
    secret: bool = False


class SettingList(Answer, frozen=True, kw_only=True):
    settings: tuple[Setting, ...] = ()
