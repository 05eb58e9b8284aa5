"""Pages made of templates. Everything that is put into one is escaped."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from novita_gpu.api.operation import Principal, Scope
from novita_gpu.domain.events import EventType
from novita_gpu.domain.value import Value
from novita_gpu.ui.assets import build, imports

# Nothing inline, nothing from another host, and no frame around it.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Page(Value, frozen=True, kw_only=True):
    """`name` is that of its template and of its script."""

    name: str
    title: str
    plots: bool = False


OVERVIEW = Page(name="overview", title="Overview", plots=True)
INSTANCES = Page(name="instances", title="Instances")
INSTANCE = Page(name="instance", title="Instance")
CREATE = Page(name="create", title="Create")
SYSTEM = Page(name="system", title="System")


class Seat(Value, frozen=True, kw_only=True):
    """Who looks at a page. `token`: what its changes need; `sequence`: of the last event that this page knows."""

    principal: Principal
    token: str
    sequence: int
    version: str


@cache
def _templates() -> Environment:
    loader = PackageLoader("novita_gpu.ui", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def shown(page: Page, seat: Seat, **facts: str) -> bytes:
    scopes = [scope for scope in Scope if any(held.holds(scope) for held in seat.principal.scopes)]
    return _rendered(
        page.name,
        page=page,
        seat=seat,
        scopes=" ".join(scopes),
        events=" ".join(EventType),
        scripts=imports(f"{page.name}.js"),
        **facts,
    )


def login(message: str, onward: str) -> bytes:
    return _rendered("login", message=message, onward=onward)


def _rendered(name: str, **facts: object) -> bytes:
    return _templates().get_template(f"{name}.html").render(static=f"/ui/static/{build()}", **facts).encode()
