"""Takes apart what came in: the body, the query, the reference in the path."""

import re
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from litestar import Request

from novita_gpu.contract import Request as Body
from novita_gpu.contract import read_json, read_query
from novita_gpu.domain.errors import Fault, Invalid, Missing, Problem

T = TypeVar("T", bound=Body)

# No query of ours has more than some twenty entries.
MAX_QUERY_FIELDS = 100
_REF = re.compile("[A-Za-z0-9_-]{1,100}")


async def body_of(request: Request[Any, Any, Any]) -> bytes:
    """The raw body. Raises `UNSUPPORTED_MEDIA_TYPE` for one that is not JSON, `BODY_TOO_LARGE` above 1 MiB."""
    body = await request.body()
    if not body:
        return b""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").lower()
    if media_type != "application/json" or coding != "identity":
        raise Problem("UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json, not compressed.")
    return body


async def given(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The body as a `kind`, checked."""
    return read_json(await body_of(request), kind)


def asked(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The query as a `kind`, checked."""
    query = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise Invalid(Fault(field="query", message=f"must have at most {MAX_QUERY_FIELDS} entries")) from None
    return read_query(pairs, kind)


def ref_of(request: Request[Any, Any, Any]) -> str:
    """The instance that the path names. What can be neither id nor name is not looked for."""
    ref = cast("str", request.path_params["id"])
    if not _REF.fullmatch(ref):
        raise Missing("INSTANCE_NOT_FOUND", "There is no such instance: an id or name has A-Z, a-z, 0-9, _ and - only.")
    return ref
