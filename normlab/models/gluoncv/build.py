"""Build a network of GluonCV's model zoo and replace its norms."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from normlab.backend.mxnet import gluoncv, mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv.families import Family, family_of
from normlab.models.gluoncv.surgery import operate
from normlab.models.gluoncv.wiring import Shapes, infer_shapes
from normlab.models.layers import ImageShape, image_shape
from normlab.models.sites import Sites
from normlab.models.tree import walk
from normlab.models.weights import WEIGHTED
from normlab.norms.none import Identity

mx = mxnet()

#: The name of GluonCV's argument for the number of classes, where it is not `classes`.
_CLASSES = {"HRNet": "num_classes"}


def build(sites: Sites, shape: tuple[int, ...], classes: int, network: str, initializer: Any) -> Any:
    """Build a network with norms.

    Args:
        sites: Builds norms.
        shape: Shape of one example.
        classes: Number of outputs.
        network: Name of the network in the model zoo.
        initializer: Initializer of the weights for which the network specifies none.

    Raises:
        SpecError: There is no such network, it doesn't accept such images, or it can't host such a norm.
    """
    family = family_of(network)
    image = image_shape(shape, network)
    _check_kinds(sites, family, network)
    # pretrained weights would be downloaded; normlab trains from scratch
    block = gluoncv().model_zoo.get_model(network, pretrained=False, **{_CLASSES.get(family.title, "classes"): classes})
    block.initialize(mx.init.Zero())
    for layer in walk(block):
        if isinstance(layer, WEIGHTED) and layer.weight.init is None:
            layer.weight.init = initializer
    shapes = _infer_shapes(block, image, family, network)
    if shapes.output != (1, classes):
        raise SpecError(f"network {network} returns shape {shapes.output} for one image; expected (1, {classes})")
    operate(block, shapes, sites, network)
    return block


def _check_kinds(sites: Sites, family: Family, network: str) -> None:
    """Refuse norms that a network can't host, before it is built."""
    if sites.residuals:
        raise SpecError(
            f"network {network}: norm {sites.label} replaces the sum of a branch and its shortcut, and networks of "
            "GluonCV add the two themselves; choose model resnet"
        )
    if not family.has_sites and any(part.entry.layer is not Identity for part in sites.layers):
        raise SpecError(
            f"network {network} has no norms that norm {sites.label} could replace; choose norm none, "
            "a norm that acts on weights, or another network of docs/gluoncv.md"
        )
    if sites.takes_activation and not family.replaces_activation:
        raise SpecError(
            f"network {network} calls its activations itself, and norm {sites.label} takes over the activation; "
            "choose model resnet, vgg or mlp, or a network that can host such norms according to docs/gluoncv.md"
        )


def _infer_shapes(block: Any, image: ImageShape, family: Family, network: str) -> Shapes:
    try:
        # MXNet prints the shapes that don't match
        with redirect_stdout(io.StringIO()):
            return infer_shapes(block, image)
    except (mx.base.MXNetError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1].replace("MXNetError: ", "")
        raise SpecError(
            f"network {network} doesn't accept images of {image.channels} channels and {image}; "
            f"it is tested with 3 channels and {family.side}x{family.side} pixels ({reason})"
        ) from error
