"""The dashboard's routes: its pages, its assets, and the way in and out."""

import math
import re
from typing import Any
from urllib.parse import parse_qs, quote

from litestar import Request, post
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.guard import address_of, by_key, principal_of, session_of
from novita_gpu.api.look import look
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.pages import Pages, WrongPage
from novita_gpu.api.reading import asked
from novita_gpu.api.session import borne, change_token, cookie, from_here, no_cookies
from novita_gpu.contract import Request as Body
from novita_gpu.domain.errors import Missing, Problem
from novita_gpu.ui import pages
from novita_gpu.ui.assets import ASSETS, BUILD
from novita_gpu.ui.pages import CSP, Page, Seat, counted

Asked = Request[Any, Any, Any]

TAG = "Dashboard"
HOME = "/ui"
LOGIN = "/ui/login"
HTML = "text/html; charset=utf-8"
FOR_EVER = "public, max-age=31536000, immutable"
_OURS = re.compile(r"/ui(/[A-Za-z0-9_-]+)*")
_PAGE = {
    "content-security-policy": CSP,
    "referrer-policy": "same-origin",  # without one a browser tells of a form only that its origin is `null`
}


class LoginQuery(Body, frozen=True, kw_only=True):
    """`next`: the page that was asked for."""

    next: str = HOME


def _operation(name: str, summary: str, *, scope: Scope | None = None, query: type[Body] | None = None) -> Operation:
    return Operation(
        id=name, summary=summary, tag=TAG, scope=scope, answers={200: "text/html"}, query=query, listed=False
    )


def _shown(request: Asked, page: Page, **facts: object) -> ASGIResponse:
    """The page for who has a session, else the way to one."""
    principal, token, desk = principal_of(request), session_of(request), desk_of(request)
    if principal is None:
        return _to(f"{LOGIN}?next={quote(request.scope['path'])}")
    seat = Seat(
        principal=principal,
        token=change_token(token) if token else "",
        sequence=desk.parts.store.view.sequence,
        version=desk.parts.version,
    )
    return ASGIResponse(body=pages.shown(page, seat, **facts), media_type=HTML, headers=_PAGE)


def _to(place: str, *cookies: str) -> ASGIResponse:
    told = [("location", place), *(("set-cookie", each) for each in cookies)]
    return ASGIResponse(status_code=303, headers=told)


def _login(message: str, onward: str, status: int) -> ASGIResponse:
    return ASGIResponse(body=pages.login(message, onward), media_type=HTML, status_code=status, headers=_PAGE)


def _onward(place: str) -> str:
    """A page of ours, whatever was asked for."""
    return place if _OURS.fullmatch(place) else HOME


@look("/", operation=_operation("getRoot", "The way to the dashboard"))
async def root() -> ASGIResponse:
    return _to(HOME)


@look("/ui", operation=_operation("getOverview", "What runs, what it costs, what needs somebody"))
async def overview(request: Asked) -> ASGIResponse:
    """How many there are is on it when it comes, the rest once its script has asked."""
    view = desk_of(request).parts.store.view
    return _shown(request, pages.OVERVIEW, counts=counted(view.all()) if view.loaded else None)


@look("/ui/instances", operation=_operation("getInstancesPage", "All instances"))
async def instances(request: Asked) -> ASGIResponse:
    return _shown(request, pages.INSTANCES)


@look("/ui/instances/{ref:str}", operation=_operation("getInstancePage", "One instance"))
async def instance(request: Asked) -> ASGIResponse:
    return _shown(request, pages.INSTANCE, ref=str(request.path_params["ref"]))


@look("/ui/create", operation=_operation("getCreatePage", "A new instance"))
async def create(request: Asked) -> ASGIResponse:
    return _shown(request, pages.CREATE)


@look("/ui/system", operation=_operation("getSystemPage", "Sync, caches, keys, webhooks, log, settings"))
async def system(request: Asked) -> ASGIResponse:
    return _shown(request, pages.SYSTEM)


@look(LOGIN, operation=_operation("getLogin", "The way in", query=LoginQuery))
async def login_page(request: Asked) -> ASGIResponse:
    return _login("", _onward(asked(request, LoginQuery).next), 200)


@post(LOGIN, operation=_operation("logIn", "A key for a session"))
async def log_in(request: Asked) -> ASGIResponse:
    """Of another site it is refused too: a visitor would work in a session that somebody else knows."""
    form = parse_qs((await request.body()).decode("latin-1"), max_num_fields=10)
    key, onward = form.get("key", [""])[0].strip(), _onward(form.get("next", [HOME])[0])
    if not from_here(request.headers):
        return _login("This came from another site. Log in here.", onward, 403)
    desk = desk_of(request)
    entry = await by_key(f"Bearer {key}", desk, address_of(request))
    if entry.refused_by:
        wait = math.ceil(entry.refused_by.left_s)
        return _login(f"Too many wrong keys came from this address. Try again in {wait} s.", onward, 429)
    if entry.principal is None:
        return _login("This is no key of this service, or one that was revoked.", onward, 401)
    return _to(onward, cookie(await desk.sessions.begin(entry.principal), request.headers))


@post("/ui/logout", operation=_operation("logOut", "The end of this session", scope=Scope.READ))
async def log_out(request: Asked) -> ASGIResponse:
    token = borne(request.cookies)
    if token is not None:
        await desk_of(request).sessions.end(token)
    return _to(LOGIN, *no_cookies())


@look("/ui/static/{of:str}/{name:path}", operation=_operation("getAsset", "A script, style or picture"))
async def asset(request: Asked) -> ASGIResponse:
    """One of an older page's set is answered by today's, and not to be kept."""
    found = ASSETS.get(str(request.path_params["name"]).removeprefix("/"))
    if found is None:
        raise Missing("NOT_FOUND", "There is nothing at this path.")
    is_packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "cache-control": FOR_EVER if request.path_params["of"] == BUILD else "no-store",
        "vary": "accept-encoding",
        **({"content-encoding": "gzip"} if is_packed else {}),
    }
    body = found.packed if is_packed else found.body
    return ASGIResponse(body=body, media_type=found.media_type, headers=headers)


def _wrong(status: int, problem: Problem, request_id: str) -> WrongPage:
    return WrongPage(body=pages.wrong(status, problem, request_id), headers=_PAGE)


_ROUTES = (root, overview, instances, instance, create, system, login_page, log_in, log_out, asset)
PAGES = Pages(routes=_ROUTES, below=HOME, wrong=_wrong)
