"""Build a network of GluonCV's model zoo and put norms into it."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from normlab.backend.mxnet import gluoncv, mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv.families import Family, family_of
from normlab.models.gluoncv.surgery import operate
from normlab.models.gluoncv.wiring import Shapes, first_pass
from normlab.models.layers import ImageShape, image_shape
from normlab.models.sites import Sites
from normlab.models.tree import walk
from normlab.models.weights import WEIGHTED
from normlab.norms.none import Identity

mx = mxnet()

#: What GluonCV calls the number of classes, where it is not `classes`.
_CLASSES = {"HRNet": "num_classes"}


def build(sites: Sites, shape: tuple[int, ...], classes: int, network: str, initializer: Any) -> Any:
    """Build a network with norms.

    Args:
        sites: Makes norms.
        shape: Shape of one example.
        classes: Number of outputs.
        network: Its name in the model zoo.
        initializer: Of weights for which the network names none.

    Raises:
        SpecError: There is no such network, it can't take such images, or it can't host such a norm.
    """
    family = family_of(network)
    image = image_shape(shape, network)
    _check_kinds(sites, family, network)
    # "pretrained" would download; normlab trains from the start
    block = gluoncv().model_zoo.get_model(network, pretrained=False, **{_CLASSES.get(family.title, "classes"): classes})
    block.initialize(mx.init.Zero())
    for layer in walk(block):
        if isinstance(layer, WEIGHTED) and layer.weight.init is None:
            layer.weight.init = initializer
    shapes = _pass(block, image, family, network)
    if shapes.output != (1, classes):
        raise SpecError(f"network {network} gives {shapes.output} for one image; expected (1, {classes})")
    operate(block, shapes, sites, network)
    return block


def _check_kinds(sites: Sites, family: Family, network: str) -> None:
    """Refuse norms that a network has no place for, before it is built."""
    if sites.residuals:
        raise SpecError(
            f"network {network}: norm {sites.label} acts where a branch meets its shortcut, and networks of GluonCV "
            "add the two themselves; choose model resnet"
        )
    if not family.has_sites and any(part.entry.layer is not Identity for part in sites.layers):
        raise SpecError(
            f"network {network} has no norms, so norm {sites.label} has no place in it; choose norm none, "
            "a norm that acts on weights, or another network: docs/gluoncv.md lists them"
        )
    if sites.takes_activation and not family.replaces_activation:
        raise SpecError(
            f"network {network} calls its activations itself, and norm {sites.label} takes the activation over; "
            "choose model resnet, vgg or mlp, or a network that docs/gluoncv.md lists as host of such norms"
        )


def _pass(block: Any, image: ImageShape, family: Family, network: str) -> Shapes:
    try:
        # MXNet prints the shapes that it could not match
        with redirect_stdout(io.StringIO()):
            return first_pass(block, image)
    except (mx.base.MXNetError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1].replace("MXNetError: ", "")
        raise SpecError(
            f"network {network} can't take images of {image.channels} channels and {image}; "
            f"it is tested with 3 channels and {family.side}x{family.side} pixels ({reason})"
        ) from error
