"""Regions: one table of the cloud's clusters, in which ids and names are both found.

A region's name is a cluster's display name up to the first space ("US-CA-06 (California)" is US-CA-06): products name
regions so, in either form. Ids (`us-ca-6`) are another namespace.
"""

from collections.abc import Iterable

from novita_gpu.domain.value import Value


def region_of(display_name: str) -> str:
    """The name that products join on."""
    return display_name.strip().split(" ", 1)[0]


class Cluster(Value, frozen=True, kw_only=True):
    """A place with machines."""

    id: str
    region: str
    name: str
    gpu_types: tuple[str, ...] = ()
    network_storage: bool = False


class Regions(Value, frozen=True, kw_only=True):
    """A region is usually one cluster; where the cloud has several under one name, the name means all of them."""

    clusters: tuple[Cluster, ...]

    def of(self, word: str) -> tuple[Cluster, ...]:
        """The cluster with that id, else those of the region with that name, by id; none for an unknown word."""
        by_id = tuple(c for c in self.clusters if c.id == word)
        return by_id or tuple(sorted((c for c in self.clusters if c.region == word), key=lambda c: c.id))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({c.region for c in self.clusters}))

    def distinct(self, words: Iterable[str]) -> tuple[str, ...]:
        """These, without those that name nothing new; unknown ones stay, so that they can be told of."""
        known: set[str] = set()
        kept: list[str] = []
        for word in words:
            places = {c.id for c in self.of(word)} or {word}
            if not places <= known:
                kept.append(word)
            known |= places
        return tuple(kept)
