"""Pages beside the API: their routes, and what of theirs a browser is told when something is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from litestar.handlers import HTTPRouteHandler

from novita_gpu.api.problems import Answered
from novita_gpu.domain.errors import Problem

HTML = "text/html"


@dataclass(frozen=True, kw_only=True)
class WrongPage:
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Pages:
    """`below`: the path under which they are. `wrong`: a page that tells a problem, by its status and request id."""

    routes: tuple[HTTPRouteHandler, ...]
    below: str
    wrong: Callable[[int, Problem, str], WrongPage]

    def told(self, scope: Mapping[str, Any], answer: Answered, request_id: str) -> Answered:
        """The error as a page where a browser asks for one, else as it is."""
        if answer.problem is None or not self._is_asked(scope):
            return answer
        page = self.wrong(answer.status, answer.problem, request_id)
        headers = {**answer.headers, **page.headers}
        return replace(answer, body=page.body, headers=headers, media_type=f"{HTML}; charset=utf-8")

    def _is_asked(self, scope: Mapping[str, Any]) -> bool:
        if not f"{scope['path']}/".startswith(f"{self.below}/"):
            return False
        return any(name == b"accept" and HTML.encode() in value for name, value in scope["headers"])
