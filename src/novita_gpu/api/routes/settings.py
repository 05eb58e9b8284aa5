"""The settings in force, without secrets."""

from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import encode
from novita_gpu.contract.settings import SettingList

Asked = Request[Any, Any, Any]


@get(
    "/api/settings",
    operation=Operation(
        id="getSettings",
        summary="The settings in force; secrets are stars",
        tag="Settings",
        scope=Scope.ADMIN,
        answers={200: SettingList},
    ),
)
async def settings(request: Asked) -> ASGIResponse:
    return ASGIResponse(body=encode(SettingList(settings=desk_of(request).parts.settings)))


ROUTES = (settings,)
