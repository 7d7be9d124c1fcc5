"""Networks of GluonCV's model zoo (Guo et al., JMLR 2020, arXiv:1907.04433), with norms put in.

A network is built as GluonCV builds it, never with pretrained weights; then each `BatchNorm` in it gives its place to
the chosen norm. What the network says of its norms holds: gamma that starts from zeros, gamma or beta that are not
learned. What the spec says goes before the network's own epsilon and momentum. `docs/gluoncv.md` lists the networks
and which kinds of norm they can host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.catalog.hookspecs import Model, hookimpl
from normlab.models.weight_initializers import InitializerPart, to_initializer
from normlab.spec import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.models.sites import Sites

__all__ = ["gluoncv", "normlab_models"]

_HE = Part(name="he", parameters={})


def gluoncv(
    sites: Sites,
    shape: tuple[int, ...],
    classes: int,
    *,
    network: str,
    weight_initializer: InitializerPart = _HE,
) -> Any:
    """An image classifier of GluonCV's model zoo.

    Args:
        sites: Makes norms.
        shape: Shape of one example, `(channels, height, width)`.
        classes: Number of outputs.
        network: Its name there, such as `cifar_resnet20_v1`.
        weight_initializer: How those weights start for which the network names no start of its own.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: There is no such network, it can't take such images, or it can't host such a norm.
    """
    from normlab.models.gluoncv.build import build  # noqa: PLC0415 - loads MXNet, which listing does without

    return build(sites, shape, classes, network, to_initializer(weight_initializer))


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `gluoncv`."""
    yield Model("gluoncv", gluoncv, summary="any image classifier of GluonCV's model zoo", paper="arXiv:1907.04433")
