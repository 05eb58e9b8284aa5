"""What an account can choose from and has put down: clusters, products, templates, registry credentials, volumes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from novita_gpu.cloud.simulator.catalogue import Catalogue, Cluster, Product, RegistryAuth, Template, Volume
from novita_gpu.cloud.simulator.money import Meter, volume_usd_per_s
from novita_gpu.cloud.simulator.refusals import Refused, invalid

MIN_VOLUME_GB, MAX_VOLUME_GB = 10, 10240  # bounds the official SDK's tests assert

Item = TypeVar("Item")


@dataclass(slots=True)
class HeldVolume:
    """A volume with what it has cost."""

    volume: Volume
    meter: Meter = field(default_factory=Meter)


class Shelf:
    """The catalogue as it stands now."""

    def __init__(self, catalogue: Catalogue, rng: Random) -> None:
        self._rng = rng
        self.clusters = {cluster.id: cluster for cluster in catalogue.clusters}
        self.products = {product.id: product for product in catalogue.products}
        self.templates = {template.id: template for template in catalogue.templates}
        self.auths = {auth.id: auth for auth in catalogue.auths}
        self.volumes: dict[str, HeldVolume] = {}

    def cluster(self, cluster_id: str) -> Cluster:
        """A cluster by id; `Refused` where there is none."""
        return _find(self.clusters, cluster_id, "RESOURCE_NOT_FOUND", "cluster not found")

    def product(self, product_id: str) -> Product:
        """A product by id; `Refused` where there is none."""
        return _find(self.products, product_id, "RESOURCE_NOT_FOUND", "product not found")

    def template(self, template_id: str) -> Template:
        """A template by id; the refusal's text was observed, at status 400."""
        return _find(self.templates, template_id, "TEMPLATE_NOT_FOUND", "template not found")

    def volume(self, volume_id: str) -> Volume:
        """A volume by id; `Refused` where there is none."""
        return _find(self.volumes, volume_id, "NETWORK_STORAGE_NOT_FOUND", "network storage not found").volume

    def check_auth(self, auth_id: str) -> None:
        """`Refused` for a credential id nobody knows."""
        if auth_id and auth_id not in self.auths:
            raise Refused("IMAGE_URL_OR_AUTH_ERROR", "image url or auth error")

    def names_of(self, cluster_ids: Iterable[str]) -> list[Cluster]:
        """Clusters by id, the unknown left out."""
        return [self.clusters[cluster_id] for cluster_id in cluster_ids if cluster_id in self.clusters]

    def save_template(self, template: Template, now: float, template_id: str = "") -> str:
        """Keep a private template, new or in place of `template_id`; answers its id."""
        if template.channel != "private":
            raise invalid("channel must be private")
        if template_id:
            self.template(template_id)
        kept = template_id or str(self._rng.randint(100_000, 999_999))
        self.templates[kept] = replace(template, id=kept, created_at=str(int(now)))
        return kept

    def delete_template(self, template_id: str) -> None:
        """Forget a template of the account's own."""
        if self.template(template_id).channel != "private":
            raise Refused("FORBIDDEN", "template is not yours")
        del self.templates[template_id]

    def save_auth(self, name: str, username: str, password: str) -> None:
        """Add a credential; names need not be unique, and no id is answered."""
        auth_id = f"{self._rng.getrandbits(128):032x}"
        self.auths[auth_id] = RegistryAuth(auth_id, name, username, password)

    def delete_auth(self, auth_id: str) -> None:
        """Forget a credential; `Refused` with `IMAGE_AUTH_IN_USE` while a template names it."""
        _find(self.auths, auth_id, "RESOURCE_NOT_FOUND", "repository auth not found")
        if any(template.image_auth == auth_id for template in self.templates.values()):
            raise Refused("IMAGE_AUTH_IN_USE", "image auth is in use")
        del self.auths[auth_id]

    def create_volume(self, cluster_id: str, name: str, size_gb: int, now: float) -> str:
        """A new volume in a cluster that can hold volumes; answers its id, a UUID."""
        cluster = self.cluster(cluster_id)
        if not cluster.network_storage:
            raise Refused("CUR_CLUSTER_NETWORK_STORAGE_NOT_SUPPORT", "cluster does not support network storage")
        bits = f"{self._rng.getrandbits(128):032x}"
        volume_id = "-".join((bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:]))
        self._keep(Volume(volume_id, name, size_gb, cluster.id, cluster.name), Meter(), now)
        return volume_id

    def update_volume(self, volume_id: str, name: str, size_gb: int, now: float) -> None:
        """Rename a volume or let it grow."""
        volume = self.volume(volume_id)
        if size_gb < volume.storage_size:
            raise invalid("storageSize can only grow")
        self._keep(replace(volume, storage_name=name, storage_size=size_gb), self.volumes[volume_id].meter, now)

    def delete_volume(self, volume_id: str, now: float) -> float:
        """Forget a volume nobody mounts; answers what it has cost, in USD."""
        self.volume(volume_id)
        return self.volumes.pop(volume_id).meter.usd(now)

    def volumes_usd(self, now: float) -> float:
        """What all volumes there are have cost so far."""
        return sum(held.meter.usd(now) for held in self.volumes.values())

    def _keep(self, volume: Volume, meter: Meter, now: float) -> None:
        if not MIN_VOLUME_GB <= volume.storage_size <= MAX_VOLUME_GB:
            raise Refused("NETWORK_STORAGE_TOO_LARGE", "storage size", metadata={"0": str(MAX_VOLUME_GB)})
        meter.run(volume_usd_per_s(volume.storage_size), now)
        self.volumes[volume.storage_id] = HeldVolume(volume, meter)


def _find(items: dict[str, Item], key: str, reason: str, message: str) -> Item:
    try:
        return items[key]
    except KeyError:
        raise Refused(reason, message) from None
