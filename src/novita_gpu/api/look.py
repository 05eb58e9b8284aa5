"""Routes that show something: GET, and HEAD, which is told the same without a body. The server leaves the body out."""

from litestar import route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from novita_gpu.api.operation import Operation


def look(path: str, operation: Operation) -> HTTPRouteHandler:
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], operation=operation)
