"""Check how an example's output depends on the other examples, on their number, and on the order of positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array, require_close
from normlab.conformance.subjects.specimen import MODES, Specimen
from normlab.training.randomness import generator


def _first_half(specimen: Specimen, inputs: Sequence[Array], *, training: bool) -> Array:
    """Return the output of the first half of the examples, run without the others in reverse order."""
    part = [value[: specimen.batch // 2][::-1] for value in inputs]
    return specimen.run(part, training=training).output[::-1]


@check("layer", "residual", when=lambda method: not method.depends_on_batch)
def examples_are_independent(specimen: Specimen) -> None:
    """In training, an example's output does not depend on the other examples unless `depends_on_batch` is declared."""
    inputs = specimen.inputs()
    together = specimen.run(inputs, training=True).output[: specimen.batch // 2]
    require_close(
        _first_half(specimen, inputs, training=True),
        together,
        "half of the batch, in another order, gives other outputs; declare depends_on_batch = True",
    )


@check("layer", "residual")
def prediction_ignores_the_batch(specimen: Specimen) -> None:
    """At inference, an example's output does not depend on the other examples, whatever happens in training."""
    inputs = specimen.inputs()
    together = specimen.run(inputs, training=False).output[: specimen.batch // 2]
    require_close(
        _first_half(specimen, inputs, training=False),
        together,
        "half of the batch, in another order, gives other outputs; use running statistics when not self.training",
    )


@check("layer", "residual", when=lambda method: method.depends_on_batch)
def batch_matters_as_declared(specimen: Specimen) -> None:
    """If `depends_on_batch` is declared, an example's output in training changes with the other examples."""
    inputs = specimen.inputs()
    others = [np.concatenate([value[:1], other[1:]]) for value, other in zip(inputs, specimen.inputs("other examples"))]
    one, other = (specimen.run(each, training=True).output[0] for each in (inputs, others))
    require(not np.array_equal(one, other), "other examples change nothing; leave depends_on_batch False")


@check("layer", "residual")
def takes_its_minimum_batch(specimen: Specimen) -> None:
    """With `minimum_batch` examples, output and gradients are finite and the output depends on the input."""
    few = specimen.method.minimum_batch
    inputs, others, cotangent = (specimen.inputs(which, batch=few) for which in ("", "other", "cotangent"))
    done = specimen.run(inputs, training=True, frozen=False, cotangent=cotangent[0])
    values = [done.output, *done.input_gradients, *done.gradients.values(), *specimen.values().values()]
    finite = all(np.isfinite(value).all() for value in values)
    require(finite, f"{few} examples: output, a gradient or a state is not finite; raise minimum_batch")
    other = specimen.run(others, training=True).output
    require(
        not np.array_equal(done.output, other),
        f"{few} examples: the output does not depend on the input; raise minimum_batch",
    )


@check("layer", "residual")
def predicts_one_example(specimen: Specimen) -> None:
    """At inference, an example alone gives the same output as in a batch."""
    inputs = specimen.inputs()
    together = specimen.run(inputs, training=False).output[:1]
    alone = specimen.run([value[:1] for value in inputs], training=False).output
    require_close(alone, together, "an example alone gives another output than in a batch")


@check("layer", "residual")
def takes_any_batch_size(specimen: Specimen) -> None:
    """After a batch of one size, a batch of another size gives the same output as in a new block."""
    for batch in (specimen.batch + 2, specimen.batch):
        inputs = specimen.inputs(batch=batch)
        new = specimen.copy()
        for how in specimen.ways_to_run:
            for mode, training in MODES.items():
                used, expected = (each.run(inputs, training=training, how=how).output for each in (specimen, new))
                require_close(
                    used, expected, f"{mode}, {how}: a batch of {batch} after one of another size gives other outputs"
                )


@check("layer", when=lambda method: method.layout != "NC")
def positions_are_alike(specimen: Specimen) -> None:
    """Permuting the positions, in the same way for all examples and channels, permutes the outputs."""
    (value,) = specimen.inputs()
    order = generator(0, "conformance", "positions").permutation(int(np.prod(specimen.positions)))

    def permute(value: Array) -> Array:
        if specimen.place.layout == "NTC":
            return value[:, order]
        return value.reshape((*value.shape[:2], -1))[..., order].reshape(value.shape)

    for mode, training in MODES.items():
        plain, other = (specimen.run([each], training=training).output for each in (value, permute(value)))
        require_close(
            other,
            permute(plain),
            f"{mode}: positions are not treated alike; are statistics taken over all of them, not over one axis?",
        )
