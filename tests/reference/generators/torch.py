"""What PyTorch's own layers, functions and parametrizations compute."""

from __future__ import annotations

import torch
from reference import inputs
from reference.archive import Case, Header, write
from reference.generators.torch_case import AFFINE, RUNNING, SHAPES, layer, run
from torch.nn.utils import parametrizations


def batch() -> list[Case]:
    """Batch normalization, whose running variance is unbiased."""
    return [
        layer("nc", "NC", "torch.nn.BatchNorm1d(6, eps=1e-3, momentum=0.3)", AFFINE, RUNNING),
        layer("nchw", "NCHW", "torch.nn.BatchNorm2d(6, eps=1e-3, momentum=0.3)", AFFINE, RUNNING),
        layer("ntc", "NTC", "torch.nn.BatchNorm1d(6, eps=1e-3, momentum=0.3)", AFFINE, RUNNING),
        layer("plain", "NCHW", "torch.nn.BatchNorm2d(6, affine=False)", AFFINE, RUNNING),
        layer("untracked", "NCHW", "torch.nn.BatchNorm2d(6, eps=1e-3, track_running_stats=False)", AFFINE),
    ]


def layer_norm() -> list[Case]:
    """Layer normalization over the channels alone, and over all of an example as one group."""
    return [
        layer("nc", "NC", "torch.nn.LayerNorm(6, eps=1e-3)", AFFINE),
        layer("ntc_channels", "NTC", "torch.nn.LayerNorm(6, eps=1e-3)", AFFINE, wants=-1),
        layer("nchw_channels", "NCHW", "torch.nn.LayerNorm(6, eps=1e-3)", AFFINE, wants=-1),
        layer("nchw_all", "NCHW", "torch.nn.GroupNorm(1, 6, eps=1e-3)", AFFINE),
        layer("ntc_all", "NTC", "torch.nn.GroupNorm(1, 6, eps=1e-3)", AFFINE),
    ]


def instance() -> list[Case]:
    """Instance normalization."""
    return [
        layer("nchw", "NCHW", "torch.nn.InstanceNorm2d(6, eps=1e-3, affine=True)", AFFINE),
        layer("ntc", "NTC", "torch.nn.InstanceNorm1d(6, eps=1e-3, affine=True)", AFFINE),
        layer("plain", "NCHW", "torch.nn.InstanceNorm2d(6)", AFFINE),
    ]


def group() -> list[Case]:
    """Group normalization."""
    return [
        layer("nc", "NC", "torch.nn.GroupNorm(2, 6, eps=1e-3)", AFFINE),
        layer("nchw", "NCHW", "torch.nn.GroupNorm(3, 6, eps=1e-3)", AFFINE),
        layer("ntc", "NTC", "torch.nn.GroupNorm(3, 6, eps=1e-3)", AFFINE),
    ]


def rms() -> list[Case]:
    """RMS normalization over the channels, epsilon inside the root; and over all of an example."""
    gain = {"gamma": "weight"}
    return [
        layer("nc", "NC", "torch.nn.RMSNorm(6, eps=1e-3)", gain),
        layer("nchw", "NCHW", "torch.nn.RMSNorm(6, eps=1e-3)", gain, wants=-1),
        layer("ntc", "NTC", "torch.nn.RMSNorm(6, eps=1e-3)", gain, wants=-1),
        layer("all", "NCHW", "torch.nn.RMSNorm((6, 3, 2), eps=1e-3, elementwise_affine=False)", {}),
    ]


def local_response() -> list[Case]:
    """Local response normalization over an odd number of channels."""
    return [
        layer("size3", "NCHW", "torch.nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.0)", {}),
        layer("size5", "NCHW", "torch.nn.LocalResponseNorm(5, alpha=0.9, beta=0.6, k=2.0)", {}),
    ]


def l2() -> list[Case]:
    """Unit length over the channels, epsilon as the least length."""

    def case(name: str, layout: str, epsilon: float) -> Case:
        shape, axis = SHAPES[layout]
        return run(
            Header(name, layout, f"torch.nn.functional.normalize(x, dim={axis}, eps={epsilon})"),
            inputs.batches(name, shape, axis, inputs.STATELESS),
            torch.nn.Identity(),
            {},
            forward=lambda x: torch.nn.functional.normalize(x, dim=axis, eps=epsilon),
        )

    # with the last epsilon some lengths are below it and others above
    return [
        case("nc", "NC", 1e-12),
        case("nchw", "NCHW", 1e-12),
        case("ntc", "NTC", 1e-12),
        case("least", "NCHW", 0.5),
    ]


def weight_norm() -> list[Case]:
    """Weight normalization: the weight from its direction and the lengths g of its rows."""
    found = []
    for name, shape in (("dense", (5, 7)), ("conv", (4, 3, 2, 3))):
        module = torch.nn.Linear(7, 5) if name == "dense" else torch.nn.Conv2d(3, 4, (2, 3))
        parametrizations.weight_norm(module, "weight", dim=0)
        parametrization = module.parametrizations.weight[0]
        g = torch.nn.Parameter(torch.ones(shape[0]))
        found.append(
            run(
                Header(name, "weight", "torch.nn.utils.parametrizations.weight_norm(layer, dim=0)"),
                inputs.weights(name, shape),
                parametrization,
                {"g": g},
                forward=lambda v, of=parametrization, g=g: of(g.reshape(-1, *[1] * (v.dim() - 1)), v),
            )
        )
    return found


def spectral_norm() -> list[Case]:
    """Spectral normalization, with one and with two steps of power iteration a training pass."""
    found = []
    for name, shape, iterations in (("dense", (5, 7), 1), ("conv", (4, 3, 2, 3), 1), ("two_iterations", (5, 7), 2)):
        torch.manual_seed(1)
        module = torch.nn.Linear(7, 5) if len(shape) == 2 else torch.nn.Conv2d(3, 4, (2, 3))
        call = f"torch.nn.utils.parametrizations.spectral_norm(layer, n_power_iterations={iterations})"
        parametrizations.spectral_norm(module, "weight", n_power_iterations=iterations)
        parametrization = module.parametrizations.weight[0]
        states = {"u": parametrization._u, "v": parametrization._v}
        passes = inputs.weights(name, shape, passes=4)
        found.append(run(Header(name, "weight", call), passes, parametrization, {}, states))
    return found


if __name__ == "__main__":
    methods = {
        "batch": batch,
        "layer": layer_norm,
        "instance": instance,
        "group": group,
        "rms": rms,
        "local_response": local_response,
        "l2": l2,
        "weight_norm": weight_norm,
        "spectral_norm": spectral_norm,
    }
    for name, cases in methods.items():
        write("torch", torch.__version__.split("+")[0], name, cases())
