"""The data sets that normlab ships, for the catalogue and for `normlab data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from normlab.catalog.hookspecs import DataSource, hookimpl
from normlab.datasets import arrays, cifar, mnist, synthetic
from normlab.datasets import source as places
from normlab.datasets.base import Dataset
from normlab.datasets.source import Place, Source


@dataclass(frozen=True)
class Shipped:
    """A data set that normlab brings.

    Attributes:
        build: makes it; its signature is the schema of its YAML block.
        source: where its files come from, its terms, its measures.
    """

    build: Callable[..., Dataset]
    source: Source

    def locate(self) -> list[Place]:
        """Every place from which its files may come, with what is there now; empty if it needs none."""
        return places.locate(self.source)

    def origin(self) -> Place:
        """The place from which its files would come now."""
        return places.origin(self.source)


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
