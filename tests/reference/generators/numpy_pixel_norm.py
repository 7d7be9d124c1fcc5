"""Pixelwise feature vector normalization (Karras et al., ICLR 2018, arXiv:1710.10196)."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Case, Header
from reference.generators.numpy_case import run, store


def case(name: str, layout: str, epsilon: float) -> Case:
    """x / sqrt(mean over channels of x^2 + epsilon)."""

    def forward(x: Any, _: Any, __: Any, ___: bool) -> Any:
        return x / np.sqrt((x**2).mean(1, keepdims=True) + epsilon), {}

    return run(Header(name, layout, f"x / sqrt(mean over channels of x^2 + {epsilon})"), forward)


if __name__ == "__main__":
    usual = [case(layout.lower(), layout, 1e-8) for layout in ("NC", "NCHW", "NTC")]
    store("pixel_norm", [*usual, case("epsilon", "NCHW", 1e-2)])
