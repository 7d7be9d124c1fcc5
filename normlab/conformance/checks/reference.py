"""Check a method against its own NumPy reference, and the values with which a weight method starts."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array, require_close
from normlab.conformance.subjects.places import HOSTED
from normlab.conformance.subjects.specimen import MODES, Specimen
from normlab.norms.ways import NormWeight

#: Scale and shift of inputs on which formulas differ: ordinary, with a variance like epsilon, with a mean far from 0.
_KINDS = {"ordinary": (1.0, 0.0), "tiny": (3e-3, 0.0), "shifted": (0.5, 5.0)}
_TOLERANCE = {"float64": 1e-8, "float32": 1e-4}


@check(*HOSTED, when=lambda method: callable(getattr(method, "reference", None)))
def matches_reference(specimen: Specimen) -> None:
    """Output and new state equal those of the class's NumPy `reference`, also where the variance is like epsilon."""
    double = specimen.in_float64()
    start = specimen.values()
    for mode, training in MODES.items():
        double.assign(start)
        precise = double if double.is_double(training=training) else specimen
        for kind, (scale, shift) in _KINDS.items():
            precise.assign(start)
            inputs = [scale * value + shift for value in specimen.inputs()]
            parameters = {name: value.astype("float64") for name, value in start.items()}
            output, states = _run_reference(precise, inputs, parameters, training=training)
            done = precise.run(inputs, training=training, frozen=False)
            tolerance = _TOLERANCE[precise.dtype]
            what = f"{mode}, {kind} input"
            require_close(done.output, output, f"{what}: the output is not that of reference()", tolerance=tolerance)
            for name, value in states.items():
                found = precise.values()[name]
                require_close(found, value, f"{what}: new {name!r} is not that of reference()", tolerance=tolerance)


def _run_reference(
    specimen: Specimen, inputs: list[Array], parameters: dict[str, Array], *, training: bool
) -> tuple[Array, dict[str, Array]]:
    """Return the reference's output and new states; channels are moved to axis 1 and back, as for `hybrid_forward`."""
    swapped = specimen.place.way == "layer" and specimen.method.axis != 1
    moved = [np.swapaxes(value, 1, specimen.method.axis) if swapped else value for value in inputs]
    result = specimen.method.reference(*moved, parameters, training)
    output, states = result if isinstance(result, tuple) else (result, {})
    return (np.swapaxes(output, 1, specimen.method.axis) if swapped else output), states


def _starts_from_the_weight(method: Any) -> bool:
    return type(method).start is not NormWeight.start


@check("weight", when=_starts_from_the_weight)
def start_is_of_what_is_declared(specimen: Specimen) -> None:
    """`start` returns finite NumPy arrays for declared parameters, in their shapes."""
    weight = specimen.inputs()[0].astype("float32")
    for name, value in specimen.method.start(weight).items():
        require(name in specimen.method.declared, f"start returns {name!r}, which is not declared")
        expected = specimen.parameter(name).shape
        require(isinstance(value, np.ndarray), f"start returns {type(value).__name__} for {name!r}, not a NumPy array")
        require(value.shape == expected, f"start returns shape {value.shape} for {name!r}, expected {expected}")
        require(np.isfinite(value).all(), f"start returns a value for {name!r} that is not finite")
