"""Weight standardization (arXiv:1903.10520) with the deviation of its authors' codes, which is the unbiased one."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Case, Header
from reference.generators.numpy_case import run, store


def case(name: str, shape: tuple[int, ...], call: str, *, inside: float = 0.0, outside: float = 0.0) -> Case:
    """A case with an epsilon inside or outside the root."""

    def forward(w: Any, _: Any, __: Any, ___: bool) -> Any:
        rows = w.reshape(shape[0], -1)
        rows = rows - rows.mean(1, keepdims=True)
        variance = (rows**2).sum(1, keepdims=True) / (rows.shape[1] - 1)
        return (rows / (np.sqrt(variance + inside) + outside)).reshape(shape), {}

    return run(Header(name, "weight", call), forward, passes=inputs.weights(name, shape))


if __name__ == "__main__":
    outside = "(w - mean) / (sqrt(sum (w - mean)^2 / (n - 1)) + 0.01)"
    inside = "(w - mean) / sqrt(sum (w - mean)^2 / (n - 1) + 0.001)"
    store(
        "weight_standardization",
        [
            case("dense_outside", (5, 7), outside, outside=1e-2),
            case("conv_outside", (4, 3, 2, 3), outside, outside=1e-2),
            case("conv_inside", (4, 3, 2, 3), inside, inside=1e-3),
        ],
    )
