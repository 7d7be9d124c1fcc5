"""What the batch renormalization and the decorrelated batch normalization of Chainer compute."""

from __future__ import annotations

from typing import Any, Callable

import chainer
import numpy as np
from chainer import functions
from reference import inputs
from reference.archive import Case, Header, Pass, write

SHAPES = {"NC": (6,), "NCHW": (6, 3, 2)}


def run(
    header: Header,
    parameters: dict[str, Any],
    states: dict[str, Any],
    forward: Callable[[Any, dict[str, Any]], Any],
    predict: Callable[[Any, dict[str, Any]], Any],
    told: Callable[[dict[str, Any]], dict[str, Any]] = lambda states: states,
) -> Case:
    """Compute a case; `forward` and `predict` take a variable and the parameters' variables."""
    start, done = {name: value.copy() for name, value in told(states).items()}, []
    passes = inputs.batches(header.case, SHAPES[header.layout], 1, (9, 12, 9, 4))
    for index, (x, cotangent) in enumerate(passes):
        training = index < len(passes) - 1
        variables = {name: chainer.Variable(value) for name, value in parameters.items()}
        x_in = chainer.Variable(x)
        with chainer.using_config("train", training):
            y = (forward if training else predict)(x_in, variables)
            y.grad = cotangent.copy()
            y.backward()
        gradients = {name: variable.grad.copy() for name, variable in variables.items()}
        after = {name: value.copy() for name, value in told(states).items()}
        done.append(Pass(x, cotangent, y.array.copy(), x_in.grad.copy(), gradients, after))
        assert y.array.dtype == x_in.grad.dtype == np.float64
    return Case(header, parameters, start, done[:-1], done[-1])


def batch_renorm() -> list[Case]:
    """Batch renormalization with r and d clipped for some channels and not for others."""
    found = []
    for name, layout in (("nc", "NC"), ("nchw", "NCHW")):
        options = {"eps": 1e-3, "decay": 0.7, "rmax": 1.5, "dmax": 0.5}
        parameters = {each: inputs.parameter(name, each, (6,)) for each in ("gamma", "beta")}
        states = {"running_mean": np.zeros(6), "running_var": np.ones(6)}

        def forward(x: Any, v: dict[str, Any], states: Any = states, options: Any = options) -> Any:
            return functions.batch_renormalization(
                x, v["gamma"], v["beta"], **options, **states, update_statistics=True
            )

        def predict(x: Any, v: dict[str, Any], states: Any = states, options: Any = options) -> Any:
            mean, var = states["running_mean"], states["running_var"]
            return functions.fixed_batch_normalization(x, v["gamma"], v["beta"], mean, var, eps=options["eps"])

        call = "chainer.functions.batch_renormalization(rmax=1.5, dmax=0.5, eps=1e-3, decay=0.7)"
        found.append(run(Header(name, layout, call), parameters, states, forward, predict))
    return found


def decorrelated() -> list[Case]:
    """Decorrelated batch normalization by ZCA, of two groups of three channels."""
    found = []
    for name, layout in (("nc", "NC"), ("nchw", "NCHW")):
        link = chainer.links.DecorrelatedBatchNormalization(6, groups=2, decay=0.7, eps=1e-3, dtype=np.float64)
        states = {"running_mean": link.avg_mean, "running_whitening": link.avg_projection}
        header = Header(
            name,
            layout,
            "chainer.links.DecorrelatedBatchNormalization(6, groups=2, decay=0.7, eps=1e-3)",
            note="the running whitening matrix takes m / (m - 1) times that of the batch of m values",
        )

        def forward(x: Any, _: Any, link: Any = link) -> Any:
            return link(x)

        def told(states: dict[str, Any]) -> dict[str, Any]:
            return {**states, "running_mean": states["running_mean"].reshape(-1)}

        found.append(run(header, {}, states, forward, forward, told))
    return found


if __name__ == "__main__":
    for method in (batch_renorm, decorrelated):
        write("chainer", chainer.__version__, method.__name__, method())
