"""Check outputs: their shapes and types, and extreme inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array, require_close
from normlab.conformance.subjects.places import HOSTED
from normlab.conformance.subjects.specimen import MODES, Specimen

#: Factor from ordinary inputs to the largest that float16 must handle; weights are never that large.
_HALF_SCALE = {"layer": 1e3, "residual": 1e3, "weight": 1.0}
_HALF_TOLERANCE = 2e-2


@check(*HOSTED)
def keeps_shape_and_type(specimen: Specimen) -> None:
    """The output has the shape and the type of the input, for several sizes of batches and positions."""
    sizes = [(specimen.batch, None), (specimen.batch + 1, tuple(size + 2 for size in specimen.positions))]
    for batch, positions in sizes:
        inputs = specimen.inputs(batch=batch, positions=positions)
        for mode, training in MODES.items():
            output = specimen.run(inputs, training=training).output
            require(output.shape == inputs[0].shape, f"{mode}: {inputs[0].shape} became {output.shape}; keep the shape")
            require(output.dtype == np.float32, f"{mode}: float32 became {output.dtype}; keep the type")


@check(*HOSTED)
def output_follows_input(specimen: Specimen) -> None:
    """Different inputs give different outputs, in every layout that the method supports."""
    for mode, training in MODES.items():
        one, other = (specimen.run(specimen.inputs(which), training=training).output for which in ("", "other"))
        require(
            not np.array_equal(one, other),
            f"{mode}: two inputs give the same output; leave a layout for which the method is not defined out of "
            "`layouts`",
        )


@check(*HOSTED)
def leaves_its_input_alone(specimen: Specimen) -> None:
    """A pass changes neither its input nor a parameter."""
    inputs = [value.astype("float32") for value in specimen.inputs()]
    for mode, training in MODES.items():
        for how in specimen.ways_to_run:
            before = specimen.values()
            arrays = specimen.arrays(inputs)
            specimen.call(arrays, training=training, how=how, frozen=True, record=False).wait_to_read()
            same = all(np.array_equal(array.asnumpy(), value) for array, value in zip(arrays, inputs))
            require(same, f"{mode}, {how}: the input was changed in place; work on a new array")
            for name, value in specimen.values().items():
                require(np.array_equal(value, before[name]), f"{mode}, {how}: parameter {name!r} was changed in place")


@check("layer", when=lambda method: method.layout != "NC")
def takes_one_position(specimen: Specimen) -> None:
    """With a single position (H = W = 1, or T = 1), output, gradients and state are finite."""
    _require_finite(specimen, specimen.inputs(positions=(1,) * len(specimen.positions)), "one position")


@check("layer", "residual")
def takes_constant_input(specimen: Specimen) -> None:
    """For an input without variance, of zeros or of another constant, output, gradients and state are finite."""
    for constant in (0.0, 3.0):
        _require_finite(specimen, [np.full_like(value, constant) for value in specimen.inputs()], f"all {constant:g}")


@check(*HOSTED)
def takes_large_and_small_input(specimen: Specimen) -> None:
    """For inputs times 1e4 and times 1e-4, output, gradients and state are finite."""
    for scale in (1e4, 1e-4):
        _require_finite(specimen, [value * scale for value in specimen.inputs()], f"input times {scale:g}")


def _require_finite(specimen: Specimen, inputs: Sequence[Array], what: str) -> None:
    """Run two passes in each mode; the first one trains, so that the others see the new state."""
    cotangent = specimen.inputs("cotangent")[0]
    cotangent = cotangent[tuple(slice(0, size) for size in inputs[0].shape)]
    for mode, training in [*MODES.items()] * 2:
        done = specimen.run(inputs, training=training, frozen=False, cotangent=cotangent)
        require(np.isfinite(done.output).all(), f"{what}, {mode}: the output is not finite")
        gradients = [*done.input_gradients, *done.gradients.values()]
        require(all(np.isfinite(value).all() for value in gradients), f"{what}, {mode}: a gradient is not finite")
        for name, value in specimen.values().items():
            require(np.isfinite(value).all(), f"{what}, {mode}: {name!r} is no longer finite")


@check(*HOSTED)
def shows_nan(specimen: Specimen) -> None:
    """NaN in the input is NaN in the output at the same place, so that divergence is noticed."""
    for index in range(len(specimen.inputs())):
        inputs = specimen.inputs()
        spot = tuple(size // 2 for size in inputs[index].shape)
        inputs[index][spot] = np.nan
        for mode, training in MODES.items():
            for how in specimen.ways_to_run:
                output = specimen.run(inputs, training=training, how=how).output
                require(
                    np.isnan(output[spot]),
                    f"{mode}, {how}: NaN became {output[spot]:g}; F.Activation and some comparisons hide NaN "
                    "(F.relu does not)",
                )


@check(*HOSTED)
def takes_float16(specimen: Specimen) -> None:
    """In float16, for activations up to some thousands, the output is finite and equals float32's up to rounding."""
    half = specimen.copy(dtype="float16")
    scale = _HALF_SCALE[specimen.place.way]
    inputs, others = (
        [(scale * value).astype("float16") for value in specimen.inputs(which)] for which in ("", "other")
    )
    for mode, training in MODES.items():
        output = half.run(inputs, training=training).output
        require(output.dtype == np.float16, f"{mode}: float16 became {output.dtype}; keep the type")
        require(np.isfinite(output).all(), f"{mode}: the output is not finite; compute statistics in float32")
        other = half.run(others, training=training).output
        require(not np.array_equal(output, other), f"{mode}: all large inputs give one output; something overflows")
        expected = specimen.run(inputs, training=training).output
        require_close(output, expected, f"{mode}: the output is not that of float32", tolerance=_HALF_TOLERANCE)


@check("layer")
def bears_a_large_mean(specimen: Specimen) -> None:
    """For activations of mean 3000 and deviation 1, float32 gives the output to 5 %, without harmful cancellation."""
    inputs = [3000 + value / 1.5 for value in specimen.inputs()]
    specimen.run(inputs, training=True, frozen=False)
    double = specimen.in_float64()
    for mode, training in MODES.items():
        output = specimen.run(inputs, training=training).output
        require(np.isfinite(output).all(), f"{mode}: the output is not finite")
        if double.is_double(training=training):
            expected = double.run(inputs, training=training).output
            what = f"{mode}: the output is not that of float64; subtract the mean before squaring"
            require_close(output, expected, what, tolerance=0.05)
