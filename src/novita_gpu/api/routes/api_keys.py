"""Keys of the API: listed, made, revoked."""

from typing import Any

from litestar import Request, delete, get, post
from litestar.response.base import ASGIResponse
from msgspec.structs import asdict

from novita_gpu.api.desk import desk_of
from novita_gpu.api.guard import caller_of
from novita_gpu.api.once import once, plain
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.problems import Answered
from novita_gpu.api.reading import given
from novita_gpu.contract import encode
from novita_gpu.contract.api_keys import AddKey, KeyList, KeyView, NewKeyView
from novita_gpu.control.commands import Caller

Asked = Request[Any, Any, Any]
TAG = "Keys"
EXAMPLES = {
    "forAJob": {"name": "trainer-7", "scopes": ["operate"], "expiresAt": "2027-01-31T12:00:00.000Z"},
    "withLimits": {
        "name": "ci",
        "scopes": ["admin"],
        "limits": {"maxInstances": 2, "maxUsdPerHour": "1.5000", "regions": ["AS-SGP-02"]},
    },
}


@get(
    "/api/keys",
    operation=Operation(
        id="listKeys", summary="Keys, without the keys themselves", tag=TAG, scope=Scope.ADMIN, answers={200: KeyList}
    ),
)
async def keys(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(await desk_of(request).parts.key_book.list()))


@post(
    "/api/keys",
    operation=Operation(
        id="addKey",
        summary="Make a key; it is answered this once",
        tag=TAG,
        scope=Scope.ADMIN,
        body=AddKey,
        body_required=True,
        examples=EXAMPLES,
        answers={201: NewKeyView},
        problems=("LIMIT_REACHED",),
    ),
)
async def add(request: Asked) -> ASGIResponse:
    async def act(caller: Caller) -> Answered:
        made = await desk_of(request).parts.key_book.add(await given(request, AddKey), caller)
        return plain(made, 201, again=_without_key(made))

    return await once(request, act)


def _without_key(made: NewKeyView) -> KeyView:
    return KeyView(**{name: value for name, value in asdict(made).items() if name != "key"})


@delete(
    "/api/keys/{id:str}",
    status_code=200,
    operation=Operation(
        id="revokeKey",
        summary="Revoke a key; what it holds open ends",
        tag=TAG,
        scope=Scope.ADMIN,
        answers={200: KeyView},
        problems=("NOT_FOUND",),
    ),
)
async def revoke(request: Asked) -> ASGIResponse:
    book = desk_of(request).parts.key_book
    return ASGIResponse(body=encode(await book.revoke(str(request.path_params["id"]), caller_of(request))))


ROUTES = (keys, add, revoke)
