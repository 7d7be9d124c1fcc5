"""A small network with a method in it, and a few images to train it on."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import Place, default_parameters, find_channels
from normlab.models.network import Network, build
from normlab.models.sites import HybridBlock, Sites
from normlab.norms.contract import Norm
from normlab.spec import Part
from normlab.training.losses import softmax_cross_entropy
from normlab.training.randomness import generator, keyed

mx = mxnet()
nn = mx.gluon.nn

EXAMPLES = 64
CLASSES = 4
_SHAPES = {"NC": (12,), "NCHW": (3, 5, 6), "NTC": (5, 8)}
_LEARNING_RATE = 0.02


class _Small(HybridBlock):
    """A layer, a site, for images a residual block, and a dense layer for the classes."""

    def __init__(self, sites: Sites, layout: str, width: int) -> None:
        super().__init__()
        self._residual = layout == "NCHW"

        def layer(use_bias: bool = True) -> Any:
            if layout == "NCHW":
                return nn.Conv2D(width, 3, padding=1, use_bias=use_bias)
            return nn.Dense(width, flatten=False, use_bias=use_bias)

        self.layer0 = sites.layer_before(layer, width, layout)
        self.site0 = sites.norm(width, layout, activation="relu", layer_before=self.layer0)
        if self._residual:
            self.layer1 = sites.layer_before(layer, width, layout)
            self.site1 = sites.norm(width, layout, layer_before=self.layer1)
            self.join = sites.residual(width, 0, 1)
        self.classes = nn.Dense(CLASSES)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: ARG002 - Gluon's signature
        """Map `(N, *shape)` to `(N, 4)`."""
        h = self.site0(self.layer0(x))
        if self._residual:
            h = self.join(self.site1(self.layer1(h)), h)
        return self.classes(h)


class Task(NamedTuple):
    """Images with their labels, on the device.

    Attributes:
        images: `(64, *shape)`.
        labels: `(64,)`.
    """

    images: Any
    labels: Any


def find_layouts(norm: Norm) -> tuple[str, ...]:
    """Return the layouts in which a method can be trained."""
    if norm.residual is not None:  # only the network for images has a residual block
        return ("NCHW",)
    return ("NC", "NCHW") if norm.layer is None else norm.layer.layouts


def build_network(norm: Norm, layout: str) -> Network:
    """Build a small network with a method in it; every call gives the same network."""
    width = 8 if norm.layer is None else find_channels(norm, Place("layer", layout))
    model = Model("small", lambda sites, _, __: _Small(sites, layout, width))
    return build(
        Part.resolved(model, {}),
        [Part.resolved(norm, default_parameters(norm))],
        _SHAPES[layout],
        CLASSES,
        [mx.cpu()],
        lambda name: keyed(0, "conformance", name),
    )


def make_task(layout: str) -> Task:
    """Return noisy images of four classes."""
    random = generator(0, "conformance", "task")
    labels = np.arange(EXAMPLES) % CLASSES
    patterns: Array = random.standard_normal((CLASSES, *_SHAPES[layout]))
    images = patterns[labels] + 0.5 * random.standard_normal((EXAMPLES, *_SHAPES[layout]))
    return Task(mx.nd.array(images), mx.nd.array(labels))


def train(norm: Norm, layout: str, steps: int) -> tuple[float, float]:
    """Train the small network on all images at once.

    Returns:
        The training loss before the first step and after the last.
    """
    small, examples = build_network(norm, layout), make_task(layout)
    for method in small.build_methods("initialize"):
        method(small, examples.images)
    loss = softmax_cross_entropy()

    def mean_loss(F: Any, x: Any, y: Any) -> Any:
        return F.mean(loss.each(F, small.block(x), y))

    graph = Graph(mean_loss, small.parameters.values(), training=True, hybridize=small.hybridizable)
    losses = _take_steps(small, lambda: graph(*examples)[0], steps)
    # another pass through the same graph costs less than compiling one that leaves the states alone
    losses.append(graph(*examples)[0])
    return float(losses[0].asscalar()), float(losses[-1].asscalar())


def _take_steps(small: Network, loss: Callable[[], Any], steps: int) -> list[Any]:
    """Take steps and return the loss before each."""
    trainable = {name: p for name, p in small.parameters.items() if p.grad_req != "null"}
    trainer = mx.gluon.Trainer(list(trainable.values()), "adam", {"learning_rate": _LEARNING_RATE}, kvstore=None)
    gradient, project = small.build_methods("gradient"), small.build_methods("project")
    losses = []
    for _ in range(steps):
        with mx.autograd.record():
            losses.append(loss())
        losses[-1].backward()
        for name, parameter in trainable.items():
            for method in gradient:
                parameter.grad()[:] = method(mx.nd, name, parameter.data(), parameter.grad())
        trainer.update(1, ignore_stale_grad=True)
        for name, parameter in trainable.items():
            for method in project:
                parameter.set_data(method(mx.nd, name, parameter.data()))
    return losses
