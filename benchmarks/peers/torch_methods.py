"""Milliseconds of PyTorch's, or timm's, own form of normalization methods, forward and backward pass.

Prints one JSON object: for each shape and each method that there is, the median over the rounds. Weights are those of
a layer that gives such activations: dense, or a 3x3 convolution from C to C channels.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from importlib.util import find_spec
from statistics import median
from types import ModuleType
from typing import Callable

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrizations

WARM_UP = 2
GROUPS = 4
#: timm's classes by method, for activations of a shape (N, C, H, W).
TIMM = {
    "frn": "FilterResponseNormTlu2d",
    "grn": "grn.GlobalResponseNorm",
    "simple_norm": "SimpleNorm2d",
    **{f"evonorm_b{kind}": f"EvoNorm2dB{kind}" for kind in range(3)},
    **{f"evonorm_s{kind}": f"EvoNorm2dS{kind}" for kind in ("0", "0a", "1", "1a", "2", "2a")},
}

Made = tuple[Callable[[], torch.Tensor], "list[torch.Tensor]"]


def timm_layers() -> ModuleType | None:
    """timm's layers without the torchvision that its package imports; None where there is no timm."""
    found = find_spec("timm")
    if found is None:
        return None
    bare = ModuleType("timm")
    bare.__path__ = list(found.submodule_search_locations or [])
    sys.modules["timm"] = bare
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        sys.modules.setdefault(name, ModuleType(name))
    sys.modules["torchvision.ops.misc"].FrozenBatchNorm2d = nn.Identity
    try:
        return importlib.import_module("timm.layers")
    except ImportError as error:
        print(f"timm: left out: {error}", file=sys.stderr)
        return None


def layers(shape: tuple[int, ...], timm: ModuleType | None) -> dict[str, Callable[[], nn.Module | Callable]]:
    """What makes each method's layer for activations of a shape."""
    channels, is_image = shape[1], len(shape) == 4
    made: dict[str, Callable] = {
        "batch": lambda: (nn.BatchNorm2d if is_image else nn.BatchNorm1d)(channels),
        "layer": lambda: nn.LayerNorm(shape[1:]),
        "group": lambda: nn.GroupNorm(GROUPS, channels),
        "l2": lambda: lambda x: normalize(x, dim=1),
    }
    if not is_image:
        return {**made, "rms": lambda: nn.RMSNorm(channels)}
    made["instance"] = lambda: nn.InstanceNorm2d(channels, affine=True)
    made["local_response"] = lambda: nn.LocalResponseNorm(5)
    made["layer:over=channels"] = lambda: over_last(nn.LayerNorm(channels))
    made["rms"] = lambda: over_last(nn.RMSNorm(channels))
    for name, path in TIMM.items() if timm else ():
        factory = timm
        for part in path.split("."):
            factory = getattr(factory, part, None)
        if factory is not None:
            options = {"groups": GROUPS} if name.startswith("evonorm_s") else {}
            options = {"channels_last": False} if name == "grn" else options
            made[name] = lambda factory=factory, options=options: factory(channels, **options)
    return made


def over_last(layer: nn.Module) -> nn.Module:
    """A layer over the last axis, for images over their channels."""

    class Over(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    return Over()


def on_weights(shape: tuple[int, ...]) -> dict[str, Callable[[], Made]]:
    """What makes each method of weights."""
    channels = shape[1]

    def host() -> nn.Module:
        return nn.Conv2d(channels, channels, 3) if len(shape) == 4 else nn.Linear(channels, channels)

    def parametrized(method: Callable) -> Made:
        module = method(host())
        return (lambda: module.weight), list(module.parameters())

    def standardized() -> Made:
        weight = host().weight
        rows = (1, channels, -1)

        def forward() -> torch.Tensor:
            # as timm's StdConv2d has it
            return torch.nn.functional.batch_norm(weight.reshape(rows), None, None, training=True).reshape_as(weight)

        return forward, [weight]

    return {
        "weight_norm": lambda: parametrized(parametrizations.weight_norm),
        "spectral_norm": lambda: parametrized(parametrizations.spectral_norm),
        "weight_standardization": standardized,
    }


def on_activations(make: Callable, shape: tuple[int, ...]) -> Made:
    layer = make()
    x = torch.randn(shape, requires_grad=True)
    own = list(layer.parameters()) if isinstance(layer, nn.Module) else []
    return (lambda: layer(x)), [x, *own]


def timed(made: Made, cotangent: torch.Tensor | None) -> float:
    forward, leaves = made
    for leaf in leaves:
        leaf.grad = None
    started = time.perf_counter()
    y = forward()
    y.backward(torch.ones_like(y) if cotangent is None else cotangent)
    return 1e3 * (time.perf_counter() - started)


def measured(shape: tuple[int, ...], rounds: int, timm: ModuleType | None) -> dict[str, float]:
    """Milliseconds by method; all are measured in turn."""
    cotangent = torch.randn(shape)
    subjects = {name: (on_activations(make, shape), cotangent) for name, make in layers(shape, timm).items()}
    subjects.update({name: (make(), None) for name, make in on_weights(shape).items()})
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(WARM_UP + rounds):
        for name, subject in subjects.items():
            times[name].append(timed(*subject))
    return {name: median(found[WARM_UP:]) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", required=True, help="N x C or N x C x H x W, with commas")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    timm = timm_layers()
    shapes = {text: tuple(int(size) for size in text.split("x")) for text in options.shapes.split(",")}
    found = {text: measured(shape, options.rounds, timm) for text, shape in shapes.items()}
    print(json.dumps({"framework": f"torch {torch.__version__}", "milliseconds": found}))


if __name__ == "__main__":
    main()
