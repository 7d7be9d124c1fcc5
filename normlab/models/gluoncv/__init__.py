"""Networks of GluonCV's model zoo (Guo et al., JMLR 2020, arXiv:1907.04433), with other norms.

GluonCV builds the network, never with pretrained weights; then each `BatchNorm` in it is replaced by the chosen norm.
The network's own choices are kept where a gamma starts from zeros, or where gamma or beta are not trainable. Epsilon
and momentum are those of the spec. `docs/gluoncv.md` lists the networks and the kinds of norm that they can host.
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
    """Build an image classifier of GluonCV's model zoo.

    Args:
        sites: Builds norms.
        shape: Shape of one example, `(channels, height, width)`.
        classes: Number of outputs.
        network: Name of the network in the model zoo, such as `cifar_resnet20_v1`.
        weight_initializer: Initializer of the weights for which the network specifies none.

    Returns:
        A block from `(N, *shape)` to `(N, classes)`.

    Raises:
        SpecError: There is no such network, it doesn't accept such images, or it can't host such a norm.
    """
    from normlab.models.gluoncv.build import build  # noqa: PLC0415 - loads MXNet, which listing doesn't need

    return build(sites, shape, classes, network, to_initializer(weight_initializer))


@hookimpl
def normlab_models() -> Iterator[Model]:
    """Register `gluoncv`."""
    yield Model("gluoncv", gluoncv, summary="any image classifier of GluonCV's model zoo", paper="arXiv:1907.04433")
