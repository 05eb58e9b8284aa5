"""A request to create, turned into a spec: template copied, regions resolved, everything checked that can be."""

from collections.abc import Sequence

from novita_gpu.cloud.base import CloudError, NotFound, Template
from novita_gpu.contract import CreateInstance
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.domain.errors import Fault, Invalid, Missing, Refused, Unavailable
from novita_gpu.domain.offers import Cluster, Product, Ranking, is_named
from novita_gpu.domain.spec import Spec

DEFAULT_ROOTFS_GB = 60
MAX_PORTS_AND_TOOLS = 15


class Orders:
    """Makes specs. Without cloud and catalogue at hand it checks less, and the pass decides."""

    def __init__(self, catalogue: Catalogue, default_regions: Sequence[str]) -> None:
        self._catalogue, self._default_regions = catalogue, tuple(default_regions)

    async def spec(self, request: CreateInstance) -> Spec:
        """Raises `Invalid` (all faults at once), `Missing` for a template or product, `Unavailable`."""
        clusters = await self._clusters()
        faults = _region_faults(request, clusters) if clusters else []
        template = await self._template(request)
        spec = _spec(request, template, self._regions(request, clusters))
        faults += _port_faults(spec)
        if faults:
            raise Invalid(*faults)
        await self._require_product(spec)
        return spec

    async def _clusters(self) -> tuple[Cluster, ...]:
        try:
            return await self._catalogue.clusters()
        except CloudError:
            return ()

    async def _template(self, request: CreateInstance) -> Template | None:
        template_id = request.template
        if template_id is None:
            return None
        try:
            return await self._catalogue.template(template_id)
        except NotFound:
            raise Missing(
                "TEMPLATE_NOT_FOUND", f"There is no template {template_id}. Check the id in the cloud's console."
            ) from None
        except CloudError as error:
            raise Unavailable(
                "NOVITA_API_ERROR",
                "The cloud cannot be asked for the template now. Nothing was stored; try again, or give imageUrl.",
                retry_after=error.retry_after,
            ) from error

    def _regions(self, request: CreateInstance, clusters: Sequence[Cluster]) -> tuple[str, ...]:
        """The caller's order, else the configured one with the preferred region first; ids become names."""
        names = {c.id: c.region for c in clusters}
        listed = request.regions or self._default_regions
        preferred = (request.region,) if request.region else ()
        ordered = dict.fromkeys(names.get(r, r) for r in (*preferred, *listed))
        return tuple(ordered)[: None if request.fallback else 1]

    async def _require_product(self, spec: Spec) -> None:
        try:
            products = await self._catalogue.products(spec.billing_mode)
        except CloudError:
            return
        if not any(is_named(p, spec) for p in products):
            raise Missing("PRODUCT_NOT_FOUND", _no_product(spec, products))


def refuse_without_offer(ranking: Ranking, spec: Spec) -> None:
    """Raises `Refused` when the catalogue rules every offer out: a line a region says why."""
    if ranking.offers:
        return
    lines = [{"region": p.region, "productId": p.product_id, "reason": p.why} for p in ranking.passed_over]
    dear = bool(lines) and all("maxPricePerHour" in p.why for p in ranking.passed_over)
    code = "PRICE_TOO_HIGH" if dear else "NO_OFFER"
    what = spec.product_name or spec.product_id
    raise Refused(code, f"No region offers {what} as asked; details say why for each.", details=lines)


def _spec(request: CreateInstance, template: Template | None, regions: tuple[str, ...]) -> Spec:
    """Each field is the caller's, else the template's."""
    base = template or Template(id="", name="", channel="", image_url=request.image_url or "")
    return Spec(
        product_name=None if request.product_id else request.product_name,
        product_id=request.product_id,
        gpu_num=request.gpu_num,
        rootfs_size_gb=request.rootfs_size or base.rootfs_size_gb or DEFAULT_ROOTFS_GB,
        billing_mode=request.billing_mode,
        max_usd_per_hour=request.max_price_per_hour,
        regions=regions,
        image_url=base.image_url,
        image_auth_id=base.image_auth_id,
        template_id=request.template,
        ports=request.ports_over(base.ports),
        envs=request.envs_over(base.envs),
        tools=base.tools,
        command=base.command if request.command is None else request.command,
        entrypoint=base.entrypoint if request.entrypoint is None else request.entrypoint,
        min_cuda_version=request.min_cuda_version or base.min_cuda_version,
        network_storages=request.storages(),
    )


def _region_faults(request: CreateInstance, clusters: Sequence[Cluster]) -> list[Fault]:
    known = {c.id for c in clusters} | {c.region for c in clusters}
    asked = [("region", request.region)] if request.region else []
    asked += [(f"regions[{i}]", region) for i, region in enumerate(request.regions or ())]
    names = ", ".join(sorted({c.region for c in clusters}))
    return [
        Fault(field=field, message=f"There is no such region. Known are {names}.", value=region)
        for field, region in asked
        if region not in known
    ]


def _port_faults(spec: Spec) -> list[Fault]:
    count = len(spec.ports) + len(spec.tools)
    if count <= MAX_PORTS_AND_TOOLS:
        return []
    return [Fault(field="ports", message=f"Ports and the template's tools are {count}; the cloud takes at most 15.")]


def _no_product(spec: Spec, products: Sequence[Product]) -> str:
    """Names that are near are shown, since the match is whole and not fuzzy."""
    wanted = (spec.product_id or spec.product_name or "").lower()
    near = sorted({p.name for p in products if wanted[:4] and wanted[:4] in p.name.lower()})
    hint = f" Near it: {', '.join(near[:5])}." if near else ""
    what = f"product id {spec.product_id}" if spec.product_id else f"product named {spec.product_name}"
    return f"There is no {what} with billing mode {spec.billing_mode}. Names match whole.{hint}"
