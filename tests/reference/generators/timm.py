"""What the layers of timm (PyTorch image models) compute, and its adaptive gradient clipping.

timm's package imports torchvision, of which none of this makes use: a bare package stands for timm's own, so that its
layers are imported alone, and an empty module for the one that they look into. Some of timm's statistics are taken in
float32 by `.float()`, which here leaves float64 as it is.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

import torch
from reference import inputs
from reference.archive import Case, Header, Pass, write
from reference.generators.torch_case import AFFINE, NAMES, array, layer, made, run

GAIN = {"gamma": "weight"}
GATED = {**AFFINE, "v": "v"}
VARIANCE = {"running_var": "running_var"}


def load() -> None:
    """Import timm's layers without timm."""
    bare = ModuleType("timm")
    bare.__path__ = list(find_spec("timm").submodule_search_locations or [])
    sys.modules["timm"] = bare
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        sys.modules[name] = ModuleType(name)
    sys.modules["torchvision.ops.misc"].FrozenBatchNorm2d = torch.nn.Identity  # type: ignore[attr-defined] # only named
    for name in ("timm.layers", "timm.layers.grn", "timm.utils.agc"):
        importlib.import_module(name)
    torch.Tensor.float = lambda self: self  # type: ignore[method-assign] # float64 throughout
    NAMES["timm"] = bare


def layer_norm() -> list[Case]:
    """Layer normalization of images over the channels at each position, and over all of an image."""
    return [
        layer("nchw_channels", "NCHW", "timm.layers.LayerNorm2d(6, eps=1e-3)", AFFINE),
        layer("nchw_all", "NCHW", "timm.layers.GroupNorm1(6, eps=1e-3)", AFFINE),
    ]


def rms() -> list[Case]:
    """RMS normalization over the channels at each position."""
    return [
        layer("nchw", "NCHW", "timm.layers.RmsNorm2d(6, eps=1e-3)", GAIN),
        layer("ntc", "NTC", "timm.layers.RmsNorm(6, eps=1e-3)", GAIN, wants=-1),
    ]


def simple_norm() -> list[Case]:
    """Division by the unbiased deviation without taking the mean off."""
    return [
        layer("nc", "NC", "timm.layers.SimpleNorm(6, eps=1e-3)", GAIN),
        layer("nchw", "NCHW", "timm.layers.SimpleNorm2d(6, eps=1e-3)", GAIN),
        layer("ntc", "NTC", "timm.layers.SimpleNorm(6, eps=1e-3)", GAIN, wants=-1),
    ]


def frn() -> list[Case]:
    """Filter response normalization with its thresholded linear unit, and without."""
    call = "timm.layers.FilterResponseNormTlu2d(6, eps=1e-3)"
    identity = "timm.layers.FilterResponseNormAct2d(6, eps=1e-3, apply_act=False)"
    return [
        layer("nchw", "NCHW", call, {**AFFINE, "tau": "tau"}),
        layer("without_tlu", "NCHW", identity, AFFINE),
    ]


def grn() -> list[Case]:
    """Global response normalization."""
    call = "timm.layers.grn.GlobalResponseNorm(6, eps=1e-3, channels_last=False)"
    return [layer("nchw", "NCHW", call, AFFINE)]


def evonorm_batch(kind: str) -> list[Case]:
    """An EvoNorm of the B family, and its linear form for places without an activation."""
    call = f"timm.layers.EvoNorm2d{kind.upper()}(6, momentum=0.3, eps=1e-3"
    return [
        layer("nchw", "NCHW", f"{call})", GATED if kind == "b0" else AFFINE, VARIANCE),
        layer("linear", "NCHW", f"{call}, apply_act=False)", AFFINE),
    ]


def evonorm_sample(kind: str) -> list[Case]:
    """An EvoNorm of the S family, and its linear form for places without an activation."""
    call = f"timm.layers.EvoNorm2dS{kind[1:]}(6, groups=3, eps=1e-3"
    return [
        layer("nchw", "NCHW", f"{call})", GATED if kind.startswith("s0") else AFFINE),
        layer("linear", "NCHW", f"{call}, apply_act=False)", AFFINE),
    ]


def weight_standardization() -> list[Case]:
    """The weight with which a convolution computes: its answer to impulses."""
    call = "timm.layers.StdConv2d(3, 4, (2, 3), eps=1e-3)"
    module = made(call)
    impulses = torch.eye(18).reshape(18, 3, 2, 3)

    def weight(value: torch.Tensor) -> torch.Tensor:
        answers = torch.func.functional_call(module, {"weight": value}, (impulses,))
        return answers.reshape(18, 4).T.reshape(4, 3, 2, 3)

    module.padding = (0, 0)
    note = "the weight is the convolution's answer to impulses, without padding"
    passes = inputs.weights("conv", (4, 3, 2, 3))
    return [run(Header("conv", "weight", call, note=note), passes, module, {}, forward=weight)]


def agc() -> list[Case]:
    """Adaptive gradient clipping."""
    clip = sys.modules["timm.utils.agc"].adaptive_clip_grad
    found = []
    for name, shape in (("dense", (5, 7)), ("conv", (4, 3, 2, 3)), ("vector", (6,))):
        passes = []
        for x, gradient in inputs.weights(name, shape):
            # rows of every kind: clipped and not, longer than epsilon and not
            scales = inputs.generator(name).choice([0.01, 0.1, 1.0], (shape[0], *[1] * (x.ndim - 1)))
            rows = inputs.exact(gradient * scales)
            parameter = torch.nn.Parameter(torch.tensor(x))
            parameter.grad = torch.tensor(rows)
            clip(parameter, clip_factor=0.1, eps=0.1)
            passes.append(Pass(x, rows, array(parameter.grad)))
        header = Header(name, "gradient", "timm.utils.agc.adaptive_clip_grad(parameter, clip_factor=0.1, eps=0.1)")
        found.append(Case(header, {}, {}, passes[:-1], passes[-1]))
    return found


if __name__ == "__main__":
    load()
    methods = {
        "layer": layer_norm(),
        "rms": rms(),
        "simple_norm": simple_norm(),
        "frn": frn(),
        "grn": grn(),
        "weight_standardization": weight_standardization(),
        "agc": agc(),
        **{f"evonorm_{kind}": evonorm_batch(kind) for kind in ("b0", "b1", "b2")},
        **{f"evonorm_{kind}": evonorm_sample(kind) for kind in ("s0", "s0a", "s1", "s1a", "s2", "s2a")},
    }
    for method, cases in methods.items():
        write("timm", version("timm"), method, cases)
