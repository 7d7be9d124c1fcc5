"""What the whitening methods have in common: groups of channels, their covariance, a whitening matrix of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import SHAPES, run, scale_shift

if TYPE_CHECKING:
    from collections.abc import Mapping

EPSILON, KEEP, SIZE = 1e-2, 0.7, 3
GROUPS = 6 // SIZE


def rows(x: Any) -> Any:
    """Channels in groups against all values: `(groups, channels of a group, values)`."""
    return np.moveaxis(x, 1, 0).reshape(GROUPS, SIZE, -1)


def back(y: Any, like: Any) -> Any:
    """The inverse of `rows`."""
    moved = np.moveaxis(like, 1, 0).shape
    return np.moveaxis(y.reshape(moved), 0, 1)


def case(
    name: str, layout: str, call: str, whitening: Callable[[Any], Any], *, keeps: str = "matrix", affine: bool = True
) -> Case:
    """Whiten by a matrix of the covariance of each group.

    Args:
        name: The case's name.
        layout: Where the site is.
        call: The method in words.
        whitening: From a covariance matrix with epsilon on its diagonal to the whitening matrix.
        keeps: What is averaged for prediction: the whitening `matrix`, or the `covariance`.
        affine: Whether there are gamma and beta.
    """

    def forward(x: Any, p: Mapping[str, Any], s: Mapping[str, Any], training: bool) -> Any:
        values = rows(x)
        new: dict[str, Any] = {}
        if training:
            mean = values.mean(2, keepdims=True)
            centred = values - mean
            covariance = centred @ np.swapaxes(centred, 1, 2) / values.shape[2]
            matrix = np.stack([whitening(each + EPSILON * np.eye(SIZE)) for each in covariance])
            kept = np.real(matrix if keeps == "matrix" else covariance)
            new["running_mean"] = KEEP * s["running_mean"] + (1 - KEEP) * np.real(mean).reshape(-1)
            new[f"running_{keeps}"] = KEEP * s[f"running_{keeps}"] + (1 - KEEP) * kept
        else:
            centred = values - s["running_mean"].reshape(GROUPS, SIZE, 1)
            matrix = s[f"running_{keeps}"]
            if keeps == "covariance":
                matrix = np.stack([whitening(each + EPSILON * np.eye(SIZE)) for each in matrix])
        y = back(matrix @ centred, x)
        return (scale_shift(y, p) if affine else y), new

    start = {"running_mean": np.zeros(6), f"running_{keeps}": np.stack([np.eye(SIZE)] * GROUPS)}
    header = Header(name, layout, f"{call}; groups of {SIZE} channels, epsilon {EPSILON}, {KEEP} of the averages kept")
    passes = inputs.batches(name, *SHAPES[layout], (12, 10, 12, 4))
    return run(header, forward, {"gamma": (6,), "beta": (6,)} if affine else {}, start, passes=passes)
