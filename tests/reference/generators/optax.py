"""What the adaptive gradient clipping of Optax computes."""

from __future__ import annotations

from importlib.metadata import version

import jax
import numpy as np
import optax
from reference import inputs
from reference.archive import Case, Header, Pass, write

jax.config.update("jax_enable_x64", True)


def agc() -> list[Case]:
    """Clipping row by row; Optax takes the units of a dense kernel along its second axis."""
    clip = optax.adaptive_grad_clip(clipping=0.1, eps=0.1)
    passes = []
    for x, cotangent in inputs.weights("dense", (5, 7)):
        gradient = inputs.exact(cotangent * inputs.generator("dense").choice([0.01, 0.1, 1.0], (5, 1)))
        clipped, _ = clip.update(gradient.T, clip.init(x.T), x.T)
        passes.append(Pass(x, gradient, np.asarray(clipped).T))
    header = Header("dense", "gradient", "optax.adaptive_grad_clip(clipping=0.1, eps=0.1)", note="of the transposes")
    return [Case(header, {}, {}, passes[:-1], passes[-1])]


if __name__ == "__main__":
    write("optax", version("optax"), "agc", agc())
