"""A small network around a method, with images to learn by heart."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog.hookspecs import Model
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import Place, channels, defaults
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
    """A layer, a site, and for images a residual block, then the classes."""

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
        """From `(N, *shape)` to `(N, 4)`."""
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


def layouts(norm: Norm) -> tuple[str, ...]:
    """The layouts of the sites in which a method can be tried."""
    if norm.residual is not None:  # only images have a residual block here
        return ("NCHW",)
    return ("NC", "NCHW") if norm.layer is None else norm.layer.layouts


def network(norm: Norm, layout: str) -> Network:
    """A small network with a method in it, the same for every call."""
    width = 8 if norm.layer is None else channels(norm, Place("layer", layout))
    model = Model("probe", lambda sites, _, __: _Small(sites, layout, width))
    return build(
        Part.resolved(model, {}),
        [Part.resolved(norm, defaults(norm))],
        _SHAPES[layout],
        CLASSES,
        [mx.cpu()],
        lambda name: keyed(0, "conformance", name),
    )


def task(layout: str) -> Task:
    """Noisy pictures of four classes."""
    random = generator(0, "conformance", "task")
    labels = np.arange(EXAMPLES) % CLASSES
    patterns: Array = random.standard_normal((CLASSES, *_SHAPES[layout]))
    images = patterns[labels] + 0.5 * random.standard_normal((EXAMPLES, *_SHAPES[layout]))
    return Task(mx.nd.array(images), mx.nd.array(labels))


def losses(norm: Norm, layout: str, steps: int) -> tuple[float, float]:
    """Train the small network on all images at once.

    Returns:
        The loss, as training sees it, before the first step and after the last.
    """
    small, examples = network(norm, layout), task(layout)
    for method in small.way("initialize"):
        method(small, examples.images)
    loss = softmax_cross_entropy()

    def mean_loss(F: Any, x: Any, y: Any) -> Any:
        return F.mean(loss.each(F, small.block(x), y))

    graph, look = (
        Graph(mean_loss, small.parameters.values(), training=True, hybridize=small.hybridizable, freeze_state=frozen)
        for frozen in (False, True)
    )
    before = float(look(*examples)[0].asscalar())
    _take_steps(small, lambda: graph(*examples)[0], steps)
    return before, float(look(*examples)[0].asscalar())


def _take_steps(small: Network, loss: Callable[[], Any], steps: int) -> None:
    trainable = {name: p for name, p in small.parameters.items() if p.grad_req != "null"}
    trainer = mx.gluon.Trainer(list(trainable.values()), "adam", {"learning_rate": _LEARNING_RATE}, kvstore=None)
    gradient, project = small.way("gradient"), small.way("project")
    for _ in range(steps):
        with mx.autograd.record():
            value = loss()
        value.backward()
        for name, parameter in trainable.items():
            for method in gradient:
                parameter.grad()[:] = method(mx.nd, name, parameter.data(), parameter.grad())
        trainer.update(1, ignore_stale_grad=True)
        for name, parameter in trainable.items():
            for method in project:
                parameter.set_data(method(mx.nd, name, parameter.data()))
