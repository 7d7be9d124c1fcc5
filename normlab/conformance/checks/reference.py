"""Checks against what the method itself gives to compare with: its NumPy reference, its start from a weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array, close
from normlab.conformance.subjects.places import HOSTED
from normlab.conformance.subjects.specimen import MODES, Specimen
from normlab.norms.ways import NormWeight

#: Inputs on which formulas part: ordinary ones, those whose variance is like epsilon, those with a mean that is not 0.
_KINDS = {"ordinary": (1.0, 0.0), "tiny": (3e-3, 0.0), "shifted": (0.5, 5.0)}
_TOLERANCE = {"float64": 1e-8, "float32": 1e-4}


@check(*HOSTED, when=lambda method: callable(getattr(method, "reference", None)))
def matches_reference(specimen: Specimen) -> None:
    """Output and new state are those of the class's own NumPy `reference`, also where the variance is like epsilon."""
    for mode, training in MODES.items():
        double = specimen.twin(dtype="float64")
        exact = double if double.is_double(training=training) else specimen
        start = exact.values()
        for kind, (scale, shift) in _KINDS.items():
            exact.assign(start)
            inputs = [scale * value + shift for value in specimen.inputs()]
            parameters = {name: value.astype("float64") for name, value in start.items()}
            output, states = _told(exact, inputs, parameters, training=training)
            done = exact.run(inputs, training=training, frozen=False)
            tolerance = _TOLERANCE[exact.dtype]
            what = f"{mode}, {kind} input"
            close(done.output, output, f"{what}: the output is not that of reference()", tolerance=tolerance)
            for name, value in states.items():
                found = exact.values()[name]
                close(found, value, f"{what}: new {name!r} is not that of reference()", tolerance=tolerance)


def _told(
    specimen: Specimen, inputs: list[Array], parameters: dict[str, Array], *, training: bool
) -> tuple[Array, dict[str, Array]]:
    """What the reference says, with the channels where `hybrid_forward` has them too."""
    swapped = specimen.place.way == "layer" and specimen.method.axis != 1
    seen = [np.swapaxes(value, 1, specimen.method.axis) if swapped else value for value in inputs]
    said = specimen.method.reference(*seen, parameters, training)
    output, states = said if isinstance(said, tuple) else (said, {})
    return (np.swapaxes(output, 1, specimen.method.axis) if swapped else output), states


def _starts_from_the_weight(method: Any) -> bool:
    return type(method).start is not NormWeight.start


@check("weight", when=_starts_from_the_weight)
def start_is_of_what_is_declared(specimen: Specimen) -> None:
    """`start` gives finite NumPy arrays for declared parameters, in their shapes."""
    weight = specimen.inputs()[0].astype("float32")
    for name, value in specimen.method.start(weight).items():
        require(name in specimen.method.declared, f"start gives {name!r}, which is not declared")
        expected = specimen.parameter(name).shape
        require(isinstance(value, np.ndarray), f"start gives {type(value).__name__} for {name!r}, not a NumPy array")
        require(value.shape == expected, f"start gives {value.shape} for {name!r}, expected {expected}")
        require(np.isfinite(value).all(), f"start gives {name!r} a value that is not finite")
