"""Pages made of templates. Everything that is put into one is escaped."""

from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from novita_gpu.api.operation import Principal, Scope
from novita_gpu.domain.errors import Invalid, Problem
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.domain.value import Value
from novita_gpu.ui.assets import BUILD, imports

# Nothing inline, nothing from another host, and no frame around it.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Page(Value, frozen=True, kw_only=True):
    """`name` is that of its template and of its script."""

    name: str
    title: str


OVERVIEW = Page(name="overview", title="Overview")
INSTANCES = Page(name="instances", title="Instances")
INSTANCE = Page(name="instance", title="Instance")
CREATE = Page(name="create", title="Create")
SYSTEM = Page(name="system", title="System")


# Of statuses, as in format.js. What is deleted is not counted.
ORDER = (
    Status.READY,
    Status.RUNNING,
    Status.STARTING,
    Status.CREATING,
    Status.MIGRATING,
    Status.STOPPING,
    Status.STOPPED,
    Status.DELETING,
    Status.FAILED,
)


class Seat(Value, frozen=True, kw_only=True):
    """Who looks at a page. `token`: what its changes need; `sequence`: of the last event that this page knows."""

    principal: Principal
    token: str
    sequence: int
    version: str


def _templates() -> dict[str, Template]:
    """Compiled, and never looked at again."""
    environment = Environment(
        loader=PackageLoader("novita_gpu.ui", "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return {name: environment.get_template(name) for name in environment.list_templates()}


TEMPLATES = _templates()


def counted(records: Iterable[Record]) -> list[tuple[Status, int]]:
    """How many there are of each status, in the order of the page."""
    found = Counter(map(status, records))
    return [(each, found[each]) for each in ORDER if found[each]]


def shown(page: Page, seat: Seat, **facts: object) -> bytes:
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


def wrong(status: int, problem: Problem, request_id: str) -> bytes:
    faults = problem.faults if isinstance(problem, Invalid) else ()
    title = "There is no such page" if status == HTTPStatus.NOT_FOUND else "That did not work"
    return _rendered("wrong", title=title, problem=problem, faults=faults, request_id=request_id)


def _rendered(name: str, **facts: object) -> bytes:
    return TEMPLATES[f"{name}.html"].render(static=f"/ui/static/{BUILD}", **facts).encode()
