"""How busy an instance is. Looking is no use of it."""

from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.reading import asked, ref_of
from novita_gpu.api.routes.catalogue import OF_CLOUD
from novita_gpu.contract import encode
from novita_gpu.contract.utilisation import UtilisationQuery, UtilisationView


@get(
    "/api/instances/{id:str}/utilisation",
    operation=Operation(
        id="getUtilisation",
        summary="How busy its GPUs were, as the cloud measures it",
        tag="Instances",
        scope=Scope.READ,
        query=UtilisationQuery,
        answers={200: UtilisationView},
        problems=("INSTANCE_NOT_FOUND", *OF_CLOUD),
    ),
)
async def utilisation(request: Request[Any, Any, Any]) -> ASGIResponse:
    desk, query = desk_of(request), asked(request, UtilisationQuery)
    record = await desk.found(ref_of(request))
    return ASGIResponse(body=encode(await desk.parts.utilisation.of(record, query)))


ROUTES = (utilisation,)
