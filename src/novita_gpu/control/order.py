"""A request to create, turned into a spec and its offers: template copied, everything checked that can be."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from novita_gpu.cloud.base import CloudError, NotFound, Template
from novita_gpu.contract import CreateInstance
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.domain.errors import Fault, Invalid, Missing, Refused
from novita_gpu.domain.limits import UNLIMITED, Limits
from novita_gpu.domain.money import price_limit, price_text
from novita_gpu.domain.offers import Product, Ranking, Rule, is_named, rank
from novita_gpu.domain.regions import Regions, region_of
from novita_gpu.domain.spec import Spec
from novita_gpu.domain.value import Value

DEFAULT_ROOTFS_GB = 60
MAX_PORTS_AND_TOOLS = 15
# A table of regions older than this is read anew before a region is called unknown.
REGIONS_TRUSTED_FOR = timedelta(seconds=30)


class Quote(Value, frozen=True, kw_only=True):
    """A spec, and what could be bought for it. `ranking` None: no catalogue is at hand. `fault`: it is old, and rules
    nothing out.
    """

    spec: Spec
    ranking: Ranking | None = None
    at: datetime | None = None
    fault: str = ""


class Orders:
    """Makes quotes. Without cloud and catalogue at hand it checks less, and the pass decides."""

    def __init__(
        self,
        catalogue: Catalogue,
        default_regions: Sequence[str],
        now: Callable[[], datetime],
        limits: Limits = UNLIMITED,
    ) -> None:
        self._catalogue, self._limits, self._now = catalogue, limits, now
        self._default_regions = tuple(map(region_of, default_regions))

    async def quote(self, request: CreateInstance, allowed: Sequence[str] = ()) -> Quote:
        """`allowed`: the only regions that the caller's key may use, if any are named.

        Raises `Invalid` (all faults at once), `Missing` for a template, credential or product, `Refused` for regions
        that are not allowed, and the cloud's errors when a template cannot be read.
        """
        regions = await self._regions(request)
        template = await self._template(request)
        if allowed:
            _refuse_regions(request, allowed, regions)
        spec = _spec(request, template, self._wanted(request, allowed, regions))
        faults = [*(_region_faults(request, regions) if regions else ()), *_port_faults(spec)]
        if faults:
            raise Invalid(*faults)
        await self._require_credential(template)
        try:
            market = await self._catalogue.known_market(spec.billing_mode)
        except CloudError as error:
            return Quote(spec=spec, fault=error.message)
        if not market.fault:
            _require_product(spec, market.value.products)
        ranking = rank(spec, market.value, self._now())
        return Quote(spec=spec, ranking=ranking, at=market.at, fault=market.fault)

    def refuse_without_offer(self, quote: Quote) -> None:
        """Raises `Refused` when a catalogue that is not old rules every offer out: a line a region says why."""
        refusal = self.refusal(quote)
        if refusal and not quote.fault:
            raise refusal

    def refusal(self, quote: Quote) -> Refused | None:
        """What a create would be refused with for want of an offer."""
        ranking, spec = quote.ranking, quote.spec
        if ranking is None or ranking.offers:
            return None
        lines = [
            {"region": p.region, "productId": p.product_id, "rule": p.rule.value, "reason": p.why}
            for p in ranking.passed_over
        ]
        what = spec.product_name or spec.product_id
        if ranking.is_for(Rule.MAX_PRICE):
            return Refused(
                "PRICE_TOO_HIGH",
                f"What there is of {what} costs more than maxPricePerHour; details say how much.",
                details=lines,
            )
        if ranking.is_for(Rule.PRICE_CEILING):
            most = price_text(self._limits.max_price or 0)
            text = f"What there is of {what} costs more than MAX_PRICE_USD_PER_HOUR, which is {most}."
            return Refused("LIMIT_REACHED", text, details={"maxPriceUsdPerHour": most, "offers": lines})
        return Refused("NO_OFFER", f"No region offers {what} as asked; details say why for each.", details=lines)

    async def _regions(self, request: CreateInstance) -> Regions | None:
        """The cloud's table; read anew if it lacks what was asked for and is not of this moment."""
        clusters = self._catalogue.clusters
        try:
            known = await clusters.known()
            is_old = self._now() >= known.at + REGIONS_TRUSTED_FOR
            if is_old and any(_region_faults(request, Regions(clusters=known.value))):
                clusters.forget()
                known = await clusters.known()
        except CloudError:
            return None
        return Regions(clusters=known.value)

    async def _template(self, request: CreateInstance) -> Template | None:
        """Never an old one: what it says is kept for as long as the instance lives. Raises the cloud's errors."""
        template_id = request.template
        if template_id is None:
            return None
        try:
            return (await self._catalogue.template(template_id).fresh()).value
        except NotFound:
            raise Missing(
                "TEMPLATE_NOT_FOUND", f"There is no template {template_id}. Check the id in the cloud's console."
            ) from None

    async def _require_credential(self, template: Template | None) -> None:
        """Of our own templates: what an official one names is not in our list."""
        if template is None or not template.image_auth_id or template.channel != "private":
            return
        try:
            auths = await self._catalogue.auths.known()
        except CloudError:
            return
        if not auths.fault and template.image_auth_id not in {auth.id for auth in auths.value}:
            text = f"Template {template.id} names a registry credential that the account has not. Give it another one."
            raise Missing("REGISTRY_AUTH_NOT_FOUND", text)

    def _wanted(self, request: CreateInstance, allowed: Sequence[str], regions: Regions | None) -> tuple[str, ...]:
        """The caller's order, else the configured one; the preferred region first. Ids and names as they were given.

        Of the configured ones those that are allowed, then what else is.
        """
        configured = self._default_regions
        if allowed:
            configured = (*(region for region in configured if is_within(region, allowed, regions)), *allowed)
        listed = request.regions or configured
        words = (*((request.region,) if request.region else ()), *listed)
        ordered = regions.distinct(words) if regions else tuple(dict.fromkeys(words))
        return ordered[: None if request.fallback else 1]


def _refuse_regions(request: CreateInstance, allowed: Sequence[str], regions: Regions | None) -> None:
    """What was asked for by name is refused by name; nobody waits for a region that never comes."""
    asked = (*((request.region,) if request.region else ()), *(request.regions or ()))
    outside = [word for word in asked if not is_within(word, allowed, regions) and (not regions or regions.of(word))]
    if outside:
        text = f"This key may use {', '.join(allowed)} only, not {', '.join(outside)}."
        raise Refused("LIMIT_REACHED", text, details={"allowedRegions": list(allowed), "refusedRegions": outside})


def is_within(word: str, allowed: Sequence[str], regions: Regions | None) -> bool:
    """Every place that the word means is one of those allowed. Without a table only the same word is."""
    if regions is None:
        return word in allowed
    places = {cluster.id for cluster in regions.of(word)}
    return bool(places) and places <= {cluster.id for each in allowed for cluster in regions.of(each)}


def _require_product(spec: Spec, products: Sequence[Product]) -> None:
    if not any(is_named(p, spec) for p in products):
        raise Missing("PRODUCT_NOT_FOUND", _no_product(spec, products))


def _spec(request: CreateInstance, template: Template | None, regions: tuple[str, ...]) -> Spec:
    """Each field is the caller's, else the template's."""
    base = template or Template(id="", name="", channel="", image_url=request.image_url or "")
    limit = request.max_price_per_hour
    return Spec(
        product_name=None if request.product_id else request.product_name,
        product_id=request.product_id,
        gpu_num=request.gpu_num,
        rootfs_size_gb=request.rootfs_size or base.rootfs_size_gb or DEFAULT_ROOTFS_GB,
        billing_mode=request.billing_mode,
        max_units_per_hour=None if limit is None else price_limit(limit),
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


def _region_faults(request: CreateInstance, regions: Regions) -> Iterator[Fault]:
    asked = [("region", request.region)] if request.region else []
    asked += [(f"regions[{i}]", region) for i, region in enumerate(request.regions or ())]
    names = ", ".join(regions.names)
    for field, region in asked:
        if not regions.of(region):
            yield Fault(field=field, message=f"There is no such region. Known are {names}.", value=region)


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
