"""What the element-wise replacements of norms in x-transformers compute, and its scale norm."""

from __future__ import annotations

from importlib.metadata import version

import torch
from reference import inputs
from reference.archive import Case, Header, write
from reference.generators.torch_case import NAMES, SHAPES, layer, made, run
from torch.func import functional_call
from x_transformers import x_transformers

NAMES["x_transformers"] = x_transformers
LAYOUTS = ("NC", "NCHW", "NTC")


def everywhere(call: str, names: dict[str, str]) -> list[Case]:
    """A case for each layout of a module that wants the channels last."""
    return [layer(layout.lower(), layout, call, names, wants=-1) for layout in LAYOUTS]


def dyt() -> list[Case]:
    """Dynamic tanh."""
    names = {"alpha": "pre_tanh_scale", "gamma": "gamma", "beta": "beta"}
    return everywhere("x_transformers.DynamicTanh(6)", names)


def derf() -> list[Case]:
    """Dynamic error function."""
    names = {"alpha": "alpha", "s": "s", "gamma": "gamma", "beta": "beta"}
    return everywhere("x_transformers.Derf(6)", names)


def scale_norm() -> list[Case]:
    """Scale norm; g is the length that it gives, which x-transformers keeps divided by the root of the channels."""
    call = "x_transformers.ScaleNorm(6)"
    module = made(call)
    found = []
    for layout in LAYOUTS:
        shape, axis = SHAPES[layout]
        g = torch.nn.Parameter(torch.ones(1))

        def forward(x: torch.Tensor, axis: int = axis, g: torch.Tensor = g) -> torch.Tensor:
            theirs = functional_call(module, {"g": g / module.scale}, (x.movedim(axis, -1),))
            return theirs.movedim(-1, axis)

        header = Header(layout.lower(), layout, call, note="g here is the module's g times its scale")
        passes = inputs.batches(layout, shape, axis, inputs.STATELESS)
        found.append(run(header, passes, module, {"g": g}, forward=forward))
    return found


if __name__ == "__main__":
    for method in (dyt, derf, scale_norm):
        write("x_transformers", version("x-transformers"), method.__name__, method())
