"""docs/redis.md lists every kind of key."""

from novita_gpu.settings import Settings
from novita_gpu.store.keys import CLOSED_FOR, LIFETIMES
from tests.architecture import redis_page


def test_the_page_is_made_from_the_keys():
    assert redis_page.PAGE.read_text("utf-8") == redis_page.page(), "`make docs` makes it anew"


def test_every_kind_of_key_has_its_size():
    assert set(redis_page.SIZES) == set(LIFETIMES)


def test_records_are_kept_as_long_as_the_setting_says_by_itself():
    assert Settings.model_fields["deleted_retention_days"].default == CLOSED_FOR.days
