"""What the cloud has on offer: products, regions, templates."""

import re
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from novita_gpu.api.desk import desk_of
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.api.prepared import tagged
from novita_gpu.api.reading import asked
from novita_gpu.contract import encode
from novita_gpu.contract.catalogue import (
    ProductList,
    ProductsQuery,
    RegionList,
    TemplateAnswer,
    TemplateList,
)
from novita_gpu.domain.errors import Missing

Asked = Request[Any, Any, Any]
Told = ProductList | RegionList | TemplateList | TemplateAnswer

TAG = "Catalogue"
STALE = {"warning": '110 novita-gpu "the cloud is out of reach; this is what it said last"'}
OF_CLOUD = ("NOVITA_API_ERROR", "NOVITA_AUTH_FAILED", "CIRCUIT_BREAKER_OPEN", "NOVITA_TIMEOUT")


def _answer(request: Asked, view: Told) -> ASGIResponse:
    """When the cloud is out what is known is answered, with a warning."""
    return tagged(request, encode(view), STALE if view.stale else {})


@get(
    "/api/products",
    operation=Operation(
        id="listProducts",
        summary="GPU products with their prices, stock and regions",
        tag=TAG,
        scope=Scope.READ,
        query=ProductsQuery,
        answers={200: ProductList, 304: ProductList},
        problems=OF_CLOUD,
    ),
)
async def products(request: Asked) -> ASGIResponse:
    return _answer(request, await desk_of(request).parts.inventory.products(asked(request, ProductsQuery)))


@get(
    "/api/regions",
    operation=Operation(
        id="listRegions",
        summary="Regions by priority, what they have, and what was met empty",
        tag=TAG,
        scope=Scope.READ,
        answers={200: RegionList, 304: RegionList},
        problems=OF_CLOUD,
    ),
)
async def regions(request: Asked) -> ASGIResponse:
    return _answer(request, await desk_of(request).parts.inventory.regions())


@get(
    "/api/templates",
    operation=Operation(
        id="listTemplates",
        summary="The cloud's templates and the account's own",
        tag=TAG,
        scope=Scope.READ,
        answers={200: TemplateList, 304: TemplateList},
        problems=OF_CLOUD,
    ),
)
async def templates(request: Asked) -> ASGIResponse:
    return _answer(request, await desk_of(request).parts.inventory.templates())


@get(
    "/api/templates/{id:str}",
    operation=Operation(
        id="getTemplate",
        summary="One template",
        tag=TAG,
        scope=Scope.READ,
        answers={200: TemplateAnswer, 304: TemplateAnswer},
        problems=("TEMPLATE_NOT_FOUND", *OF_CLOUD),
    ),
)
async def template(request: Asked) -> ASGIResponse:
    """What is no number can be no template's id, and is not asked for."""
    template_id = str(request.path_params["id"])
    if not re.fullmatch("[0-9]{1,20}", template_id):
        raise Missing("TEMPLATE_NOT_FOUND", "There is no such template: an id is a number.")
    return _answer(request, await desk_of(request).parts.inventory.template(template_id))


ROUTES = (products, regions, templates, template)
