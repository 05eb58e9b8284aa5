"""The OpenAPI document, made of the routes' operations and the Structs that check requests and spell answers."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from novita_gpu.api.operation import Operation
from novita_gpu.api.problems import HTTP_OF
from novita_gpu.contract import ProblemAnswer, View
from novita_gpu.contract import Request as Body

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"
DESCRIPTION = """A control plane for GPU instances rented from Novita.ai.

Times are RFC 3339 in UTC with milliseconds, durations carry their unit in the name, money is a decimal string in USD,
sizes are GB. Unknown fields are refused, numbers are never taken from strings, and an absent optional is absent.
Every answer bears `X-Request-ID` and `X-Correlation-ID`. Requests are counted by key, else by address:
`X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset` (epoch seconds), `RateLimit-Policy` and `RateLimit`
say where a caller stands, and `Retry-After` of a 429 when to go on. Live streams and `/health` are not counted.
"""
_OF_EVERY_KEY = ("UNAUTHORIZED", "FORBIDDEN", "RATE_LIMIT_EXCEEDED", "INTERNAL_ERROR", "STORE_UNAVAILABLE")
_OF_A_BODY = ("VALIDATION_ERROR", "INVALID_JSON", "BODY_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")
_OF_A_POST = ("IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED")
_REASONS = {
    400: "The request breaks rules; `details` names each.",
    401: "No valid key.",
    403: "The key lacks the scope.",
    404: "No such thing.",
    405: "This path does not take this method; `Allow` names those that it takes.",
    408: "The time is over; `details.instance` is as it is.",
    409: "Its state forbids it.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not JSON.",
    422: "Understood, and it will not be done.",
    429: "Too much at once.",
    500: "A bug; the log has it under the request's id.",
    502: "The cloud answered with an error.",
    503: "The store or the cloud does not answer.",
    504: "The cloud did not answer in time.",
}


def document(app: Litestar, *, version: str) -> Schema:
    """The whole document. Every route that has an operation is in it."""
    routes = list(_operations(app))
    kinds = list(dict.fromkeys(kind for _, _, operation in routes for kind in _kinds(operation)))
    _, schemas = msgspec.json.schema_components([*kinds, ProblemAnswer], ref_template=REF)
    paths: dict[str, Schema] = {}
    for path, method, operation in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, operation, schemas)
    for query in {o.query.__name__ for _, _, o in routes if o.query}:
        schemas.pop(query)
    return {
        "openapi": "3.1.0",
        "info": {"title": "novita-gpu-api", "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in sorted({o.tag for _, _, o in routes})],
        "paths": {path: dict(sorted(methods.items())) for path, methods in sorted(paths.items())},
        "components": {
            "schemas": {name: _tidy(schema) for name, schema in sorted(schemas.items())},
            "parameters": _PARAMETERS,
            "responses": {code: _problem(HTTP_OF[code], (code,)) for code in sorted(HTTP_OF)},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. Its scopes, each holding those before it: read, operate, admin.",
                }
            },
        },
    }


# Below these an id is one that a list has told.
LISTED = ("/api/webhooks/", "/api/keys/")
_PARAMETERS: Schema = {
    "Id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Our id, the cloud's id, or the name.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
        "example": "trainer-1",
    },
    "ListedId": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "As it was answered in the list.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key and body within 24 h gives the first answer again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of what is known already; 304 when it still is so.",
        "schema": {"type": "string"},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Of a stream: go on after this sequence.",
        "schema": {"type": "integer", "minimum": 0},
    },
}


def _operations(app: Litestar) -> Iterator[tuple[str, str, Operation]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            operation = cast("Operation | None", handler.opt.get("operation"))
            if operation and operation.listed:
                methods = sorted(handler.http_methods - {"HEAD"})  # says nothing of its own
                yield from ((route.path_format, method, operation) for method in methods)


def _kinds(operation: Operation) -> Iterator[type[Body] | type[View]]:
    yield from (kind for kind in operation.answers.values() if not isinstance(kind, str))
    yield from (kind for kind in (operation.body, operation.query) if kind)


def _operation(path: str, method: str, operation: Operation, schemas: Schema) -> Schema:
    parameters = list(_parameters(path, method, operation, schemas))
    told: Schema = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(method, operation),
    }
    if operation.scope is None:
        told["security"] = []
    else:
        told["description"] = f"Needs the scope `{operation.scope}`."
        told["x-scope"] = str(operation.scope)
    if parameters:
        told["parameters"] = parameters
    if operation.body:
        told["requestBody"] = _body(operation)
    return told


def _parameters(path: str, method: str, operation: Operation, schemas: Schema) -> Iterator[Schema]:
    shared = {
        "Id": "{id}" in path and not path.startswith(LISTED),
        "ListedId": "{id}" in path and path.startswith(LISTED),
        "IdempotencyKey": method == "POST",
        "IfNoneMatch": 304 in operation.answers,
        "LastEventId": "text/event-stream" in operation.media_types,
    }
    yield from ({"$ref": f"#/components/parameters/{name}"} for name, has_it in shared.items() if has_it)
    if operation.query is None:
        return
    schema = schemas[operation.query.__name__]
    for name, raw in cast("Schema", schema["properties"]).items():
        field = _tidy_property(raw)
        told = {"name": name, "in": "query", "schema": field}
        if "description" in field:
            told["description"] = field.pop("description")
        yield told


def _body(operation: Operation) -> Schema:
    kind = cast("type[Body]", operation.body)
    content: Schema = {"schema": {"$ref": REF.format(name=kind.__name__)}}
    if operation.examples:
        content["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
    return {"required": operation.body_required, "content": {"application/json": content}}


def _responses(method: str, operation: Operation) -> Schema:
    codes = list(operation.problems)
    codes += _OF_EVERY_KEY if operation.scope else ()
    codes += _OF_A_BODY if operation.body else ("VALIDATION_ERROR",)
    codes += _OF_A_POST if method == "POST" else ()
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(HTTP_OF[code], []).append(code)
    told = {str(status): _answer(status, kind) for status, kind in operation.answers.items()}
    for media_type in operation.media_types:
        told["200"]["content"][media_type] = {"schema": {"type": "string"}}
    for status, of_status in sorted(by_status.items()):
        shared = {"$ref": f"#/components/responses/{of_status[0]}"}
        told.setdefault(str(status), shared if len(of_status) == 1 else _problem(status, of_status))
    return told


def _answer(status: int, kind: type[View] | str) -> Schema:
    says = {201: "Stored; it will happen.", 202: "Stored; it will happen.", 304: "Not changed."}.get(
        status, "As asked."
    )
    if status == 304:
        return {"description": says}
    if isinstance(kind, str):
        form = "object" if kind == "application/json" else "string"
        return {"description": says, "content": {kind: {"schema": {"type": form}}}}
    return {
        "description": says,
        "content": {"application/json": {"schema": {"$ref": REF.format(name=kind.__name__)}}},
    }


def _problem(status: int, codes: Iterable[str]) -> Schema:
    examples = {code: {"value": {"error": _example(code)}} for code in codes}
    content = {"schema": {"$ref": REF.format(name=ProblemAnswer.__name__)}, "examples": examples}
    return {"description": _REASONS[status], "content": {"application/json": content}}


def _example(code: str) -> Schema:
    told: Schema = {"code": code, "message": "…", "timestamp": "2026-01-31T12:00:00.000Z", "requestId": "req_1"}
    if code == "VALIDATION_ERROR":
        told["details"] = [{"field": "gpuNum", "message": "must be a whole number of 1 to 8", "value": 9}]
    return told


def _tidy(schema: Schema) -> Schema:
    """Absent is absent, not null: what `msgspec` says of an optional field without its null."""
    if "properties" in schema:
        properties = cast("Schema", schema["properties"])
        return {**schema, "properties": {name: _tidy_property(field) for name, field in properties.items()}}
    return schema


def _tidy_property(field: Schema) -> Schema:
    if "default" not in field or field["default"] is not None:
        return dict(field)
    rest = {key: value for key, value in field.items() if key not in ("default", "anyOf")}
    members = [m for m in cast("list[Schema]", field.get("anyOf", [])) if m != {"type": "null"}]
    return {**rest, **members[0]} if len(members) == 1 else {**rest, "anyOf": members} if members else rest
