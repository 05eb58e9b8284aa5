"""What a person sees of the cloud's offers: products, regions, templates."""

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from novita_gpu.cli.show import NONE, columns, given, moment, of_cloud, pairs, usd
from novita_gpu.client import ProductList, RegionList, TemplateAnswer, TemplateList
from novita_gpu.client.catalogue import Empty, Price, Product, Template

MODES = {"onDemand": "on demand"}
STOCK = {"high": "green", "normal": "green", "yes": "green", "low": "yellow", "none": "red"}


def products(answer: ProductList) -> RenderableType:
    if not answer.products:
        return of_cloud(answer, Text("Nothing is sold so."))
    headings = ("NAME", "ID", "CPU", "RAM", "ON DEMAND", "SPOT", "STOCK", "REGIONS")
    table = columns(*headings, right={"CPU", "RAM", "ON DEMAND", "SPOT"}, wide={"REGIONS"})
    for one in answer.products:
        prices = [one.price(mode) for mode in ("onDemand", "spot")]
        table.add_row(
            Text(one.name),
            Text(one.id),
            str(one.cpu_per_gpu),
            f"{one.memory_per_gpu_gb} GB",
            *(usd(price.price_per_gpu_hour, "/h") if price else NONE for price in prices),
            _stock(one),
            _places(one),
        )
    return of_cloud(answer, table, Text("CPU, RAM and prices are for one GPU.", style="dim"))


def _stock(one: Product) -> Text:
    """Of each billing mode, where they differ."""
    words = {price.billing_mode: _in_stock(price) for price in one.prices}
    told = list(words.items()) if len(set(words.values())) > 1 else [("", word) for word in words.values()][:1]
    return Text(", ").join(
        Text(f"{_mode(mode)} " if mode else "").append(word, style=STOCK.get(word, "")) for mode, word in told
    )


def _in_stock(price: Price) -> str:
    return (price.inventory or "yes") if price.available else "none"


def _mode(billing_mode: str) -> str:
    return MODES.get(billing_mode, billing_mode)


def _places(one: Product) -> Text:
    """Where it is sold; of a region with several clusters each by its id."""
    regions = {place.cluster_id: place.region for price in one.prices for place in price.regions}
    clusters = Counter(regions.values())
    return Text(", ").join(
        Text(region if clusters[region] == 1 else cluster_id).append(_emptiness(one, cluster_id), style="yellow")
        for cluster_id, region in regions.items()
    )


def _emptiness(one: Product, cluster_id: str) -> str:
    """` (empty)`, or in which billing mode it is: out of stock, or met without capacity."""
    sold = [(price, place) for price in one.prices for place in price.regions if place.cluster_id == cluster_id]
    empty = [_mode(price.billing_mode) for price, place in sold if place.empty_until or place.available is False]
    if not empty:
        return ""
    return " (empty)" if len(empty) == len(sold) else f" ({', '.join(empty)} empty)"


def regions(answer: RegionList) -> RenderableType:
    headings = ("PRIORITY", "NAME", "ID", "VOLUMES", "PRODUCTS", "EMPTY UNTIL")
    table = columns(*headings, right={"PRIORITY"}, wide={"PRODUCTS", "EMPTY UNTIL"})
    for one in answer.regions:
        table.add_row(
            NONE if one.priority is None else str(one.priority),
            Text(one.name),
            Text(one.id),
            "yes" if one.network_storage else "no",
            Text(", ".join(one.products) or NONE),
            Text(", ".join(map(_empty, one.empty)) or NONE, style="yellow" if one.empty else ""),
        )
    return of_cloud(answer, table, Text("Without a priority: only if it is asked for.", style="dim"))


def _empty(one: Empty) -> str:
    spot = " spot" if one.billing_mode == "spot" else ""
    return f"{moment(one.until)} {one.gpu_num} × {one.product_id}{spot}"


def templates(answer: TemplateList) -> RenderableType:
    if not answer.templates:
        return of_cloud(answer, Text("No templates."))
    table = columns("ID", "NAME", "CHANNEL", "IMAGE", "DISK", "PORTS", "CUDA", right={"DISK"}, wide={"IMAGE", "PORTS"})
    for one in answer.templates:
        told = (one.id, one.name, one.channel, one.image_url)
        table.add_row(*map(Text, told), _disk(one), Text(_ports(one) or NONE), Text(one.min_cuda_version or NONE))
    return of_cloud(answer, table)


def template(answer: TemplateAnswer) -> RenderableType:
    return of_cloud(answer, pairs(_facts(answer.template)))


def _facts(one: Template) -> Iterator[tuple[str, str | Text]]:
    yield "name", one.name
    yield "id", one.id
    yield "channel", one.channel
    yield "image", one.image_url
    yield "disk", _disk(one)
    yield from given("ports", _ports(one))
    yield from given("environment", ", ".join(one.envs))
    yield from given("tools", ", ".join(one.tools))
    yield from given("CUDA", one.min_cuda_version and f"{one.min_cuda_version} or later")
    yield from given("registry", one.registry_auth)
    yield from given("description", one.description)


def _disk(one: Template) -> str:
    return NONE if one.rootfs_size is None else f"{one.rootfs_size} GB"


def _ports(one: Template) -> str:
    return ", ".join(f"{port.port}/{port.type}" for port in one.ports)
