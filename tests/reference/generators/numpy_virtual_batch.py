"""Virtual batch normalization (Salimans et al., NeurIPS 2016, arXiv:1606.03498).

Each example is normalized by the moments of a fixed reference batch and its own, as one more of that batch. `joined`:
the first examples of the batch are the reference, normalized by their own moments, and gradients flow through them.
`stored`: the reference's moments are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import SHAPES, per_channel, positions, run, scale_shift, store

EPSILON, REFERENCE = 1e-3, 4


def own(x: Any) -> tuple[Any, Any]:
    """Mean and mean square of each example's channels."""
    if not positions(x):
        return x, x**2
    return x.mean(positions(x), keepdims=True), (x**2).mean(positions(x), keepdims=True)


def mixed(x: Any, mean: Any, square: Any) -> Any:
    """Standardize by the moments of a reference batch to which each example is added."""
    share = 1 / (REFERENCE + 1)
    of_mean, of_square = own(x)
    mean, square = share * of_mean + (1 - share) * mean, share * of_square + (1 - share) * square
    return (x - mean) / np.sqrt(square - mean**2 + EPSILON)


def joined(x: Any, p: Any, s: Any, training: bool) -> Any:
    """In training the batch begins with its reference; its moments are kept for prediction."""
    if not training:
        return stored(x, p, s, training)
    reference, others = x[:REFERENCE], x[REFERENCE:]
    mean, square = (each.mean(0, keepdims=True) for each in own(reference))
    first = (reference - mean) / np.sqrt(square - mean**2 + EPSILON)
    new = {"reference_mean": np.real(mean).reshape(-1), "reference_square": np.real(square).reshape(-1)}
    return scale_shift(np.concatenate([first, mixed(others, mean, square)]), p), new


def stored(x: Any, p: Any, s: Any, _: bool) -> Any:
    """The moments of the reference are given."""
    return scale_shift(mixed(x, per_channel(s["reference_mean"], x), per_channel(s["reference_square"], x)), p), {}


def case(name: str, layout: str, forward: Any, start: Any, sizes: tuple[int, ...]) -> Case:
    """A case with a reference of four examples."""
    call = f"virtual batch norm with a reference batch of {REFERENCE}, epsilon {EPSILON}"
    passes = inputs.batches(name, *SHAPES[layout], sizes)
    return run(Header(name, layout, call), forward, {"gamma": (6,), "beta": (6,)}, start, passes=passes)


if __name__ == "__main__":
    nothing = {"reference_mean": np.zeros(6), "reference_square": np.ones(6)}
    cases = []
    for layout in ("NC", "NCHW"):
        reference = inputs.activations("reference", (REFERENCE, *SHAPES[layout][0]))
        mean, square = (each.mean(0).reshape(-1) for each in own(reference))
        given = {"reference_mean": mean, "reference_square": square}
        cases += [
            case(f"{layout.lower()}_joined", layout, joined, nothing, (8, 7, 4)),
            case(f"{layout.lower()}_stored", layout, stored, given, (4, 3)),
        ]
    store("virtual_batch", cases)
