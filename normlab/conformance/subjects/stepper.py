"""A method that acts before or after an optimizer step, run on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import Place, build_at, build_with_channels, find_channels
from normlab.conformance.subjects.side_effects import SideEffects, observe
from normlab.norms.contract import Norm
from normlab.training.randomness import generator

mx = mxnet()

#: Shapes of parameters by their structural names, as in networks.
_SHAPES = {
    "conv0.weight": (8, 3, 3, 3),
    "conv0.bias": (8,),
    "dense1.weight": (10, 12),
    "dense1.bias": (10,),
    "site0.norm.gamma": (8,),
    "site0.norm.beta": (8,),
}


class Case(NamedTuple):
    """A parameter at a step.

    Attributes:
        name: Its structural name.
        value: Its value.
        gradient: Its gradient.
    """

    name: str
    value: Array
    gradient: Array


class Stepper:
    """A method of the `gradient` or the `project` way.

    Args:
        norm: The method, built with its default parameters.
        place: Which of the two ways.
    """

    def __init__(self, norm: Norm, place: Place) -> None:
        self.norm = norm
        self.place = place
        self.method = build_at(norm, place)

    def copy(self) -> Stepper:
        """Build the method again."""
        return Stepper(self.norm, self.place)

    def cases(self, scale: float = 1.0) -> list[Case]:
        """Return parameters with gradients: of a convolution, a dense layer, a site, and those of the method's layer.

        Args:
            scale: Factor of values and gradients. With 1, values are about 0.1 and gradients about 1.
        """
        random = generator(0, "conformance", "steps")
        shapes = {**_SHAPES, **self._own_shapes()}
        return [
            Case(name, *(scale * size * random.standard_normal(shape) for size in (0.1, 1.0)))
            for name, shape in shapes.items()
        ]

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        if self.norm.layer is None:
            return {}
        layer = Place("layer", self.norm.layer.layouts[0])
        count = find_channels(self.norm, layer)
        declared = build_with_channels(self.norm, layer, count).declared
        return {f"site0.norm.{name}": each.shape(count) for name, each in declared.items() if each.trainable}

    def before(self, case: Case) -> Array:
        """Return what the method may change, the gradient or the value, as float32."""
        return (case.gradient if self.place.way == "gradient" else case.value).astype("float32")

    def run(self, case: Case, *, device: int = 0) -> Array:
        """Return what the method computes for a case."""
        result: Array = self.call(case.name, self.arrays(case, device)).asnumpy()
        return result

    def call(self, name: str, arrays: Sequence[Any]) -> Any:
        """Run the method on MXNet's arrays."""
        return self.method(mx.nd, name, *arrays)

    def arrays(self, case: Case, device: int = 0) -> list[Any]:
        """Return the method's arguments after F and the name: value and gradient, or the value alone."""
        values = (case.value, case.gradient) if self.place.way == "gradient" else (case.value,)
        return [mx.nd.array(value, ctx=mx.cpu(device), dtype="float32") for value in values]

    @cached_property
    def side_effects(self) -> SideEffects:
        """The side effects of building the method and running it on all cases."""
        return observe(self._run_all)

    def _run_all(self) -> None:
        new = self.copy()
        for case in self.cases():
            new.run(case)
