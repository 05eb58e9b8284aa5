"""The OpenAPI document, and the page that renders it with nothing from any other host."""

from importlib.resources import files
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.look import look
from novita_gpu.api.operation import Operation
from novita_gpu.api.prepared import tagged

Asked = Request[Any, Any, Any]

TAG = "Documentation"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _operation(name: str, summary: str, media_type: str, *, listed: bool = True) -> Operation:
    answers = {200: media_type, 304: media_type}
    return Operation(id=name, summary=summary, tag=TAG, scope=None, answers=answers, listed=listed)


# Read at import: nobody waits for a disk later.
_FOLDER = files("novita_gpu.api").joinpath("page")
PAGE = {name: _FOLDER.joinpath(name).read_bytes() for name in ("docs.html", "docs.js", "docs.css")}


def _unchanging(request: Asked, body: bytes, media_type: str) -> ASGIResponse:
    """Changes with the version only, so a browser may keep it and asks whether it still is so."""
    return tagged(request, body, {"cache-control": "no-cache", "content-security-policy": CSP}, media_type)


@look("/openapi.json", operation=_operation("getOpenApi", "This document", "application/json"))
async def openapi(request: Asked) -> ASGIResponse:
    return _unchanging(request, desk_of(request).openapi, "application/json")


@look("/docs", operation=_operation("getDocs", "This document as a page", "text/html"))
async def docs(request: Asked) -> ASGIResponse:
    return _unchanging(request, PAGE["docs.html"], "text/html")


@look("/docs/docs.js", operation=_operation("getDocsScript", "The page's script", "text/javascript", listed=False))
async def script(request: Asked) -> ASGIResponse:
    return _unchanging(request, PAGE["docs.js"], "text/javascript")


@look("/docs/docs.css", operation=_operation("getDocsStyle", "The page's style", "text/css", listed=False))
async def style(request: Asked) -> ASGIResponse:
    return _unchanging(request, PAGE["docs.css"], "text/css")


ROUTES = (openapi, docs, script, style)
