"""Check gradients, in training and at inference, always with the default `backward()`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import DOUBLE, SINGLE, Array, Precision, require_gradient
from normlab.conformance.subjects.places import HOSTED
from normlab.conformance.subjects.specimen import MODES, Specimen


def _most_precise(specimen: Specimen) -> Iterator[tuple[bool, str, Specimen, Precision]]:
    """Yield, for each mode, the specimen for finite differences: in float64 where the operators support it."""
    double = specimen.in_float64()
    for mode, training in MODES.items():
        if double.is_double(training=training):
            yield training, f"{mode}, float64", double, DOUBLE
        else:
            yield training, f"{mode}, float32", specimen, SINGLE


def _output_of_input(specimen: Specimen, inputs: Sequence[Array], index: int, training: bool, value: Array) -> Array:
    changed = [*inputs[:index], value, *inputs[index + 1 :]]
    return specimen.run(changed, training=training).output


def _output_of_parameter(specimen: Specimen, inputs: Sequence[Array], name: str, training: bool, value: Array) -> Array:
    specimen.assign({name: value})
    return specimen.run(inputs, training=training).output


def _has_trainable(method: Any) -> bool:
    return any(declared.trainable for declared in method.declared.values())


@check(*HOSTED)
def gradient_of_input(specimen: Specimen) -> None:
    """The gradient of the input agrees with finite differences, in training and at inference."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    for training, mode, precise, precision in _most_precise(specimen):
        done = precise.run(inputs, training=training, cotangent=cotangent)
        for index, gradient in enumerate(done.input_gradients):
            output = partial(_output_of_input, precise, inputs, index, training)
            require_gradient(output, inputs[index], gradient, cotangent, precision, f"{mode}, input {index}")


@check(*HOSTED, when=_has_trainable)
def gradient_of_parameters(specimen: Specimen) -> None:
    """The gradient of each parameter agrees with finite differences, in training and at inference."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    for training, mode, precise, precision in _most_precise(specimen):
        done = precise.run(inputs, training=training, cotangent=cotangent)
        for name, gradient in done.gradients.items():
            point = precise.values()[name].astype("float64")
            output = partial(_output_of_parameter, precise, inputs, name, training)
            require_gradient(output, point, gradient, cotangent, precision, f"{mode}, parameter {name!r}")
            precise.assign({name: point})


@check(*HOSTED, when=_has_trainable)
def every_parameter_learns(specimen: Specimen) -> None:
    """In training, the gradient of every trainable parameter has a nonzero element."""
    done = specimen.run(specimen.inputs(), training=True, cotangent=specimen.inputs("cotangent")[0])
    for name, gradient in done.gradients.items():
        require(gradient.any(), f"the gradient of {name!r} is zero; use it, or declare it with trainable=False")


@check(*HOSTED)
def backward_can_be_repeated(specimen: Specimen) -> None:
    """A second backward pass over the same recording gives the same gradients."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    for mode, training in MODES.items():
        once = specimen.run(inputs, training=training, cotangent=cotangent)
        twice = specimen.run(inputs, training=training, cotangent=cotangent, backwards=2)
        same = all(map(np.array_equal, once.input_gradients, twice.input_gradients))
        require(same, f"{mode}: the second backward pass gives another gradient of the input")
