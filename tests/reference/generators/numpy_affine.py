"""Scale and shift alone: y = gamma x + beta."""

from __future__ import annotations

from reference.archive import Header
from reference.generators.numpy_case import run, scale_shift, store

if __name__ == "__main__":
    store(
        "affine",
        [
            run(
                Header(layout.lower(), layout, "gamma x + beta"),
                lambda x, p, _, __: (scale_shift(x, p), {}),
                {"gamma": (6,), "beta": (6,)},
            )
            for layout in ("NC", "NCHW", "NTC")
        ],
    )
