"""Keys are made, shown once, listed and revoked from the command line."""

from pathlib import Path

from tests.cli.process import ask
from tests.cli.test_market import rows
from tests.client.bodies import API_KEY, API_KEYS, NEW_KEY
from tests.client.plane import Said, serving


async def test_a_key_is_made_with_its_limits_and_shown(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/keys", Said(201, NEW_KEY))
        words = "keys create ci --scope admin --max-instances 2 --max-usd-per-hour 1.5 --region AS-SGP-02"
        shown = await ask(tmp_path, plane.url, *words.split(), "--expires", "2027-03-01T12:00:00Z")
    assert plane.seen[0].body == {
        "name": "ci",
        "scopes": ["admin"],
        "expiresAt": "2027-03-01T12:00:00.000Z",
        "limits": {"maxInstances": 2, "maxUsdPerHour": "1.5", "regions": ["AS-SGP-02"]},
    }
    assert rows(shown.out) == [
        "id key_1",
        "name ci",
        "scopes admin",
        "limits 2 instances, $1.5000/h, AS-SGP-02",
        "expires 2026-03-01 12:00",
        f"key, shown this once {NEW_KEY['key']}",
    ]


async def test_keys_are_listed_and_revoked_by_name_or_id(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/keys", Said(body=API_KEYS), Said(body={"keys": []}), Said(body=API_KEYS))
        plane.tell("DELETE /api/keys/key_1", Said(body=API_KEY))
        shown = await ask(tmp_path, plane.url, "keys", "list")
        none = await ask(tmp_path, plane.url, "keys", "list")
        by_name = await ask(tmp_path, plane.url, "keys", "revoke", "ci")
    assert rows(shown.out) == [
        "ID NAME SCOPES LIMITS EXPIRES LAST USED",
        "key_1 ci admin 2 instances, $1.5000/h, AS-SGP-02 2026-03-01 12:00 2026-01-31 12:00",
    ]
    assert none.out.startswith("There is none but the admin key.")
    assert by_name.out == "ci (key_1) is revoked.\n"
