"""The data sets that normlab ships, for the catalog and for `normlab data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from normlab.catalog.hookspecs import DataSource, hookimpl
from normlab.datasets import arrays, cifar, mnist, synthetic
from normlab.datasets.base import Dataset
from normlab.datasets.source import Place, Source, find_origin, locate


@dataclass(frozen=True)
class Shipped:
    """A data set that normlab ships.

    Attributes:
        build: Loads it; its signature is the schema of its YAML block.
        source: Where its files come from, its terms, its shape and sizes.
    """

    build: Callable[..., Dataset]
    source: Source

    def locate(self) -> list[Place]:
        """Return every place that may provide its files, with its state; empty if it needs none."""
        return locate(self.source)

    def origin(self) -> Place:
        """Return the place that would provide its files now."""
        return find_origin(self.source)


SHIPPED: dict[str, Shipped] = {
    shipped.source.name: shipped
    for shipped in (
        Shipped(mnist.mnist, mnist.MNIST),
        Shipped(mnist.fashion_mnist, mnist.FASHION_MNIST),
        Shipped(cifar.cifar10, cifar.CIFAR10),
        Shipped(cifar.cifar100, cifar.CIFAR100),
        Shipped(arrays.arrays, arrays.ARRAYS),
        Shipped(synthetic.synthetic, synthetic.SYNTHETIC),
    )
}


@hookimpl
def normlab_datasets() -> Iterator[DataSource]:
    """Register the shipped data sets."""
    for name, shipped in SHIPPED.items():
        yield DataSource(name, shipped.build, summary=shipped.source.description)
