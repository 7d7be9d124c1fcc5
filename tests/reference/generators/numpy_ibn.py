"""IBN (Pan et al., ECCV 2018, arXiv:1807.09441): instance norm of the first channels, batch norm of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import batch_norm, moments, positions, run, scale_shift, store

EPSILON, KEEP = 1e-3, 0.7


def case(name: str, layout: str, first: int) -> Case:
    """A case in which instance normalization has the first channels."""

    def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
        mean, variance = moments(x[:, :first], positions(x))
        by_instance = (x[:, :first] - mean) / np.sqrt(variance + EPSILON)
        by_batch, new = batch_norm(x[:, first:], s, training=training, epsilon=EPSILON, keep=KEEP)
        return scale_shift(np.concatenate([by_instance, by_batch], 1), p), new

    call = f"instance norm of {first} channels, batch norm of the rest, epsilon {EPSILON}, {KEEP} of the averages kept"
    start = {"running_mean": np.zeros(6 - first), "running_var": np.ones(6 - first)}
    return run(Header(name, layout, call), forward, {"gamma": (6,), "beta": (6,)}, start)


if __name__ == "__main__":
    store("ibn", [case("half", "NCHW", 3), case("third", "NCHW", 2), case("ntc", "NTC", 3)])
