"""Positional normalization (Li et al., NeurIPS 2019, arXiv:1907.04312) without moment shortcut.

The paper has the biased variance, the authors' code the unbiased one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import moments, run, store

EPSILON = 1e-3


def case(name: str, layout: str, *, unbiased: bool) -> Case:
    """(x - mean) / sqrt(variance + epsilon), both over the channels at each position."""

    def forward(x: Any, _: Any, __: Any, ___: bool) -> Any:
        mean, variance = moments(x, (1,))
        channels = x.shape[1]
        return (x - mean) / np.sqrt(variance * (channels / (channels - 1) if unbiased else 1) + EPSILON), {}

    of = "unbiased" if unbiased else "biased"
    return run(Header(name, layout, f"(x - mean) / sqrt({of} variance over channels + {EPSILON})"), forward)


if __name__ == "__main__":
    store(
        "positional",
        [
            case("nchw", "NCHW", unbiased=True),
            case("ntc", "NTC", unbiased=True),
            case("biased", "NCHW", unbiased=False),
        ],
    )
