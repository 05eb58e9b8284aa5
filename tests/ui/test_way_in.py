"""The way in and out, and what is served to whom, asked without a browser."""

import asyncio
import gzip
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest

from novita_gpu.api.operation import Operation, Scope
from novita_gpu.ui import PAGES
from novita_gpu.ui.assets import ASSETS, BUILD, imports
from tests.api.served import KEYS, Served, served

PATHS = ("/ui", "/ui/instances", "/ui/instances/trainer-1", "/ui/create", "/ui/system")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Told:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str


@pytest.fixture
async def api(valkey_url: str) -> AsyncGenerator[Served]:
    async with served(valkey_url, pages=PAGES) as it:
        yield it


async def asks(api: Served, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Told:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.http.request(method, api.root + path, data=form, headers=told, allow_redirects=False) as got:
        told = {name.lower(): value for name, value in got.headers.items()}
        return Told(got.status, told, got.headers.getall("set-cookie", []), await got.text())


async def logged_in(api: Served, scope: Scope = Scope.ADMIN, **headers: str) -> str:
    answer = await asks(api, "POST", "/ui/login", {"key": KEYS[scope]}, **headers)
    assert answer.status == 303
    return answer.cookies[0].partition(";")[0]


def token_in(page: str) -> str:
    found = re.search(r'data-token="([0-9a-f]{64})"', page)
    assert found
    return found[1]


async def test_the_root_leads_to_the_dashboard_and_that_to_the_login(api: Served) -> None:
    assert (await asks(api, "GET", "/")).headers["location"] == "/ui"
    for path in PATHS:
        answer = await asks(api, "GET", path)
        assert (answer.status, answer.headers["location"]) == (303, f"/ui/login?next={path}")


async def test_a_key_is_exchanged_for_a_cookie_and_the_page_that_was_asked_for(api: Served) -> None:
    form = {"key": f" {KEYS[Scope.READ]} ", "next": "/ui/instances/trainer-1"}
    answer = await asks(api, "POST", "/ui/login", form)
    assert (answer.status, answer.headers["location"]) == (303, "/ui/instances/trainer-1")
    assert {"HttpOnly", "SameSite=Strict"} <= set(answer.cookies[0].split("; "))
    assert KEYS[Scope.READ] not in answer.cookies[0]
    page = await asks(api, "GET", "/ui", Cookie=answer.cookies[0].partition(";")[0])
    assert page.status == 200
    assert 'data-scopes="read"' in page.text
    assert "read-key" in page.text


ELSEWHERE = (
    *("https://evil.example/", "//evil.example", r"/ui\evil", "javascript:x"),
    *("/ui/../api", "/api", "/ui/a?b"),
)


@pytest.mark.parametrize("onward", ELSEWHERE)
async def test_no_login_leads_elsewhere(api: Served, onward: str) -> None:
    answer = await asks(api, "POST", "/ui/login", {"key": KEYS[Scope.ADMIN], "next": onward})
    assert answer.headers["location"] == "/ui"
    assert 'value="/ui"' in (await asks(api, "GET", f"/ui/login?next={onward}")).text


@pytest.mark.parametrize("key", ["", "no-such-key", "x" * 5000, "<script>alert(1)</script>", "é"])
async def test_what_is_no_key_gets_no_session_and_is_not_repeated(api: Served, key: str) -> None:
    answer = await asks(api, "POST", "/ui/login", {"key": key})
    assert (answer.status, answer.cookies) == (401, [])
    assert "This is no key" in answer.text
    assert not key or key not in answer.text


async def test_s3_another_site_logs_nobody_in(api: Served) -> None:
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await asks(api, "POST", "/ui/login", {"key": KEYS[Scope.ADMIN]}, **headers)
        assert (answer.status, answer.cookies) == (403, [])


async def test_a_log_out_needs_the_token_and_ends_the_session(api: Served) -> None:
    cookie = await logged_in(api)
    token = token_in((await asks(api, "GET", "/ui", Cookie=cookie)).text)
    assert (await asks(api, "POST", "/ui/logout", Cookie=cookie)).status == 403
    answer = await asks(api, "POST", "/ui/logout", Cookie=cookie, X_CSRF_Token=token)
    assert (answer.status, answer.headers["location"]) == (303, "/ui/login")
    assert all("Max-Age=0" in gone for gone in answer.cookies)
    assert (await asks(api, "GET", "/ui", Cookie=cookie)).status == 303


async def test_behind_tls_the_cookie_is_for_tls_alone(api: Served) -> None:
    answer = await asks(
        api, "POST", "/ui/login", {"key": KEYS[Scope.ADMIN]}, Origin=f"https://{api.root.partition('://')[2]}"
    )
    assert answer.cookies[0].startswith("__Host-")
    assert "Secure" in answer.cookies[0].split("; ")


def test_s1_every_page_is_open_as_it_asks_itself_and_the_way_out_needs_a_session() -> None:
    operations = [handler.opt["operation"] for handler in PAGES.routes]
    assert all(isinstance(each, Operation) and not each.listed for each in operations)
    assert [each.id for each in operations if each.scope] == ["logOut"]


async def test_s4_pages_run_nothing_inline_and_load_nothing_from_elsewhere(api: Served) -> None:
    cookie = await logged_in(api)
    for path in (*PATHS, "/ui/login"):
        answer = await asks(api, "GET", path, Cookie=cookie)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
        assert answer.headers["cache-control"] == "private, no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", answer.text)


async def test_s4_what_is_in_the_address_is_text(api: Served) -> None:
    cookie = await logged_in(api)
    answer = await asks(api, "GET", "/ui/instances/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", Cookie=cookie)
    assert "<script>alert" not in answer.text


OUTSIDE = (
    *(
        "../views.py",
        "..%2fviews.py",
        "%2e%2e/views.py",
        "vendor/../../views.py",
        "..\\views.py",
        "templates/base.html",
    ),
    *("/etc/passwd", "%2Fetc%2Fpasswd", "", ".", "style.css%00.js"),
)


@pytest.mark.parametrize("path", OUTSIDE)
async def test_s5_no_path_leads_out_of_the_static_folder(api: Served, path: str) -> None:
    reader, writer = await open_raw(api)
    writer.write(f"GET /ui/static/{BUILD}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"404"


async def open_raw(api: Served):

    host, _, port = api.root.partition("://")[2].partition(":")
    return await asyncio.open_connection(host, int(port))


async def test_assets_are_kept_for_ever_and_small(api: Served) -> None:
    for name, asset in ASSETS.items():
        address = f"{api.root}/ui/static/{BUILD}/{name}"
        async with api.http.get(address, headers={"Accept-Encoding": "identity"}) as got:
            assert (got.status, await got.read()) == (200, asset.body)
            assert "immutable" in got.headers["cache-control"]
        assert gzip.decompress(asset.packed) == asset.body
    old = await asks(api, "GET", "/ui/static/000000000000/style.css")
    assert (old.status, old.headers["cache-control"]) == (200, "no-store")


A_BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
WRONG = (
    ("/ui/nix", 404, "There is no such page"),
    ("/ui/instances/a/b", 404, "There is no such page"),
    ("/ui?x=1", 400, "this route takes no query"),
    ("/ui/static/000000000000/nix.js", 404, "There is no such page"),
)


@pytest.mark.parametrize(("path", "status", "said"), WRONG)
async def test_what_is_wrong_is_told_as_a_page_to_who_asks_for_one(
    api: Served, path: str, status: int, said: str
) -> None:
    page = await asks(api, "GET", path, Accept=A_BROWSER)
    assert (page.status, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert said in page.text
    assert 'href="/ui"' in page.text and page.headers["x-request-id"] in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "private, no-store"
    for kind in ("*/*", "application/json"):
        answer = await asks(api, "GET", path, Accept=kind)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")


async def test_the_api_answers_a_browser_as_everybody(api: Served) -> None:
    for path in ("/api/instances", "/api/nix", "/nix", "/uix"):
        answer = await asks(api, "GET", path, Accept=A_BROWSER)
        assert answer.headers["content-type"] == "application/json"


async def test_what_is_refused_before_any_route_is_a_page_too(api: Served) -> None:
    page = await asks(api, "GET", f"/ui/{'x' * 9000}", Accept=A_BROWSER)
    assert (page.status, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "must have at most" in page.text


async def test_s4_an_error_repeats_nothing_as_html(api: Served) -> None:
    page = await asks(api, "GET", "/ui/login?next=/ui&%3Cscript%3Ealert(1)%3C/script%3E=1", Accept=A_BROWSER)
    assert page.status == 400
    assert "<script>alert" not in page.text


async def test_head_says_of_a_page_what_get_does_without_it(api: Served) -> None:
    cookie = await logged_in(api)
    paths = (*PATHS, "/", "/ui/login", "/ui/nix", f"/ui/static/{BUILD}/style.css", "/docs", "/openapi.json")
    for path in paths:
        got, head = [await asks(api, method, path, Cookie=cookie, Accept=A_BROWSER) for method in ("GET", "HEAD")]
        assert (head.status, head.text) == (got.status, "")
        for name in ("content-type", "content-length", "location", "content-security-policy", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


def test_scripts_never_read_text_as_html() -> None:
    wrong = re.compile(rb"(inner|outer)HTML\s*\+?=(?!=)|insertAdjacentHTML|document\.write|eval\(|new Function")
    for name, asset in ASSETS.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            assert not wrong.search(asset.body), name


def test_every_script_that_a_page_needs_is_named_at_once() -> None:
    assert {"dom.js", "api.js", "stream.js", "windowed.js"} <= set(imports("instances.js"))
    for page in ("overview", "instances", "instance", "create", "system"):
        assert set(imports(f"{page}.js")) <= set(ASSETS)
