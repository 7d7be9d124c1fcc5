"""Checks of a method in a small network: it learns, and what it does at the start is sound."""

from __future__ import annotations

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import WHOLE
from normlab.conformance.subjects.probe import layouts, losses, network, task
from normlab.norms.contract import Norm
from normlab.training.randomness import keyed

STEPS = 20


@check(WHOLE)
def learns(norm: Norm) -> None:
    """Twenty steps on 64 images at least halve the loss of a small network, in every layout."""
    for layout in layouts(norm):
        before, after = losses(norm, layout, STEPS)
        require(np.isfinite(after), f"{layout}: the loss is {after} after {STEPS} steps")
        require(after <= before / 2, f"{layout}: the loss went from {before:.3g} to {after:.3g} only")


def _initialized(norm: Norm) -> tuple[dict[str, Array], dict[str, Array]]:
    """The parameters of a small network before and after a method has set their start."""
    layout = "NCHW" if "NCHW" in layouts(norm) else layouts(norm)[0]
    small = network(norm, layout)
    before = {name: parameter.data().asnumpy() for name, parameter in small.parameters.items()}
    with keyed(0, "conformance", "initialize"):
        for method in small.way("initialize"):
            method(small, task(layout).images)
    return before, {name: parameter.data().asnumpy() for name, parameter in small.parameters.items()}


@check(WHOLE, when=lambda norm: norm.initialize is not None)
def initialization_is_sound(norm: Norm) -> None:
    """Setting the start of a network keeps every shape, leaves every number finite, and changes something."""
    before, after = _initialized(norm)
    for name, value in before.items():
        require(after[name].shape == value.shape, f"{name} has now shape {after[name].shape}, it was {value.shape}")
        require(np.isfinite(after[name]).all(), f"{name} is not finite")
    changed = any(not np.array_equal(after[name], value) for name, value in before.items())
    require(changed, "it changes no parameter of a small network with a residual block")


@check(WHOLE, when=lambda norm: norm.initialize is not None)
def initialization_repeats_itself(norm: Norm) -> None:
    """Setting the start of the same network twice, with the same key, gives the same bits."""
    one, other = (_initialized(norm)[1] for _ in range(2))
    for name, value in one.items():
        require(np.array_equal(value, other[name]), f"{name} starts differently the second time")
