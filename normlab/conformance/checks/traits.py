"""Check that a layer is as it declares, and uses the arguments of its site."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.conformance.check import CheckFailed, check, require
from normlab.conformance.numerics import require_close
from normlab.conformance.subjects.places import HOSTED, WHOLE, Place, build_at
from normlab.conformance.subjects.specimen import MODES, Specimen, usual_activation
from normlab.errors import SpecError
from normlab.models.tree import own_parameters
from normlab.norms.contract import Norm
from normlab.norms.ways import LAYOUTS


@check(WHOLE, when=lambda norm: norm.layer is not None)
def refuses_other_layouts(norm: Norm) -> None:
    """A layout that is not in `layouts` raises a SpecError that names it."""
    for layout in [*LAYOUTS, "NDHWC"]:
        if layout in norm.layer.layouts:  # type: ignore[union-attr] # the check applies to layers only
            continue
        try:
            build_at(norm, Place("layer", layout))
        except SpecError as error:
            require(layout in str(error), f"the error for layout {layout} does not name it: {error}")
        else:
            raise CheckFailed(f"layout {layout} is accepted; pass **site to NormLayer.__init__, which refuses it")


@check("layer")
def takes_what_a_site_tells(specimen: Specimen) -> None:
    """It uses the site's `scale`, `center`, `gamma_initializer`, `beta_initializer` and `activation`."""
    site: dict[str, Any] = {"gamma_initializer": "zeros", "beta_initializer": "ones", "activation": "relu"}
    other = Specimen(specimen.norm, specimen.place, scale=False, center=False, **site)
    require(other.method.activation == "relu", "self.activation is not the site's; pass **site to the base class")
    for name, start in (("gamma", 0.0), ("beta", 1.0)):
        if name in other.method.declared:
            require((other.values()[name] == start).all(), f"{name} does not start as {name}_initializer says")
            require(name not in other.trainable, f"{name} is trained although the site forbids it; use self.affine()")


@check("layer")
def infers_channels(specimen: Specimen) -> None:
    """Without a number of channels, it infers it at the first call and computes the same."""
    inputs = specimen.inputs()
    block = specimen.norm.block(
        layout=specimen.place.layout,
        activation=usual_activation(specimen.norm),
        layer_before=specimen.layer_before,
    )
    block.initialize()
    arrays = specimen.with_layer_before(specimen.arrays(inputs))
    block(*arrays)
    found = own_parameters(block)
    for name, value in specimen.values().items():
        require(found[name].shape == value.shape, f"{name!r} has shape {found[name].shape}, expected {value.shape}")
        found[name].set_data(specimen.arrays([value])[0])
    expected = specimen.run(inputs, training=False).output
    message = "it gives another output than with a given number of channels"
    require_close(block(*arrays).asnumpy(), expected, message)


@check("layer", when=lambda method: method.brings_shift)
def shift_is_as_declared(specimen: Specimen) -> None:
    """Its beta shifts the mean of each channel, so that a network may omit the bias before the site."""
    inputs = specimen.inputs()
    name = next(name for name in specimen.trainable if name.startswith("beta"))
    axes = tuple(axis for axis in range(inputs[0].ndim) if axis != specimen.method.axis)
    before = specimen.run(inputs, training=True).output.mean(axis=axes)
    specimen.assign({name: specimen.values()[name] + 1})
    after = specimen.run(inputs, training=True).output.mean(axis=axes)
    require((before != after).all(), f"{name!r} does not shift some of the channels; give it another name")


@check("layer", when=lambda method: not method.replaces_activation)
def activation_is_left_to_the_network(specimen: Specimen) -> None:
    """It applies the site's activation only if it declares `needs_activation`, and no activation of its own."""
    inputs = specimen.inputs()
    inputs = [value - value.mean() for value in inputs]
    outputs = [
        Specimen(specimen.norm, specimen.place, activation=activation).run(inputs, training=True).output
        for activation in ("relu", "tanh")
    ]
    same = np.array_equal(outputs[0], outputs[1])
    if specimen.method.needs_activation:
        require(not same, "needs_activation is declared, but self.activation changes nothing")
        return
    require(same, "the site's activation changes the output; declare needs_activation = True")
    one_sided = (outputs[0] >= 0).all() or (outputs[0] <= 0).all()
    require(not one_sided, "all outputs have the same sign; declare replaces_activation = True")


@check("layer", when=lambda method: method.replaces_activation)
def activation_is_replaced(specimen: Specimen) -> None:
    """If `replaces_activation` is declared, it is not an odd function of its input, as a plain norm would be."""
    norm, place = specimen.norm, specimen.place
    for mode, training in MODES.items():
        new = Specimen(norm, place)
        plus, minus = (
            new.run([sign * value for value in specimen.inputs()], training=training).output for sign in (1, -1)
        )
        odd = np.allclose(plus, -minus, rtol=0, atol=1e-4 * np.abs(plus).max())
        require(not odd, f"{mode}: f(-x) = -f(x), so nothing in it replaces an activation")


@check(*HOSTED)
def hybridizable_is_as_declared(specimen: Specimen) -> None:
    """It can be compiled for training, unless `hybridizable = False` is declared; then it cannot."""
    if specimen.method.hybridizable:
        require(specimen.compiles(), "it cannot be compiled for training; declare hybridizable = False")
    else:
        require(not specimen.compiles(), "it compiles; leave hybridizable True, since compiled networks are faster")
