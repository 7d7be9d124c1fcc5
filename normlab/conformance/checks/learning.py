"""Check a method in a small network: it learns, and its initialization is sound."""

from __future__ import annotations

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import WHOLE
from normlab.conformance.subjects.small_network import build_network, find_layouts, make_task, train
from normlab.norms.contract import Norm
from normlab.training.randomness import keyed

STEPS = 20


@check(WHOLE)
def learns(norm: Norm) -> None:
    """Twenty steps on 64 images at least halve the loss of a small network, in every layout."""
    for layout in find_layouts(norm):
        before, after = train(norm, layout, STEPS)
        require(np.isfinite(after), f"{layout}: the loss is {after} after {STEPS} steps")
        require(after <= before / 2, f"{layout}: the loss falls from {before:.3g} to {after:.3g} only")


def _initialize(norm: Norm) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the parameters of a small network before and after a method has initialized it."""
    layout = "NCHW" if "NCHW" in find_layouts(norm) else find_layouts(norm)[0]
    small = build_network(norm, layout)
    before = {name: parameter.data().asnumpy() for name, parameter in small.parameters.items()}
    with keyed(0, "conformance", "initialize"):
        for method in small.build_methods("initialize"):
            method(small, make_task(layout).images)
    return before, {name: parameter.data().asnumpy() for name, parameter in small.parameters.items()}


@check(WHOLE, when=lambda norm: norm.initialize is not None)
def initialization_is_sound(norm: Norm) -> None:
    """Initializing a network keeps every shape, gives finite numbers, and changes something."""
    before, after = _initialize(norm)
    for name, value in before.items():
        require(after[name].shape == value.shape, f"the shape of {name} was {value.shape} and is {after[name].shape}")
        require(np.isfinite(after[name]).all(), f"{name} is not finite")
    changed = any(not np.array_equal(after[name], value) for name, value in before.items())
    require(changed, "it changes no parameter of a small network with a residual block")


@check(WHOLE, when=lambda norm: norm.initialize is not None)
def initialization_repeats_itself(norm: Norm) -> None:
    """Initializing the same network twice with the same key gives the same bits."""
    one, other = (_initialize(norm)[1] for _ in range(2))
    for name, value in one.items():
        require(np.array_equal(value, other[name]), f"{name} has other values the second time")
