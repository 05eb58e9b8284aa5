"""docs/settings.md is what the settings are."""

from novita_gpu.settings import Settings
from tests.architecture import settings_page


def test_the_page_is_made_from_the_settings():
    assert settings_page.PAGE.read_text("utf-8") == settings_page.page(), "`make docs` makes it anew"


def test_every_setting_says_what_it_is():
    silent = [name for name, field in Settings.model_fields.items() if not field.description and name != "log_level"]
    assert silent == []
