"""Filter response normalization (arXiv:1911.09737) with the learned epsilon that it has where each map is one value."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import inputs
from reference.archive import Header
from reference.generators.numpy_case import larger, per_channel, positions, run, store


def forward(x: Any, p: Any, _: Any, __: bool) -> Any:
    """max(gamma x / sqrt(mean x^2 + epsilon + |epsilon_l|) + beta, tau)."""
    learned = per_channel(p["epsilon_l"], x)
    square = (x**2).mean(positions(x), keepdims=True)
    y = x / np.sqrt(square + 1e-3 + np.where(np.real(learned) < 0, -learned, learned))
    y = per_channel(p["gamma"], x) * y + per_channel(p["beta"], x)
    return larger(y, per_channel(p["tau"], x)), {}


if __name__ == "__main__":
    call = "max(gamma x / sqrt(mean x^2 + 0.001 + |epsilon_l|) + beta, tau)"
    parameters = {"gamma": (6,), "beta": (6,), "tau": (6,), "epsilon_l": [0.25, -0.5, 0.125, -0.0625, 0.5, 1.0]}
    single = inputs.batches("single", (6, 1, 1), 1, inputs.STATELESS)
    store(
        "frn",
        [
            run(Header("single", "NCHW", call), forward, parameters, passes=single),
            run(Header("maps", "NCHW", call), forward, parameters),
        ],
    )
