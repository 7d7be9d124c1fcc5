"""What the norms of Flax compute; its running variance is biased."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from reference import inputs
from reference.archive import Case, Header, Pass, write

jax.config.update("jax_enable_x64", True)

SHAPES = {"NC": ((6,), 1), "NCHW": ((6, 3, 2), 1), "NTC": ((3, 6), 2)}
NAMES = {"gamma": "scale", "beta": "bias"}
STATES = {"running_mean": "mean", "running_var": "var"}


def case(name: str, layout: str, call: str, training: dict[str, bool] | None = None) -> Case:
    """A case of a module that wants the channels last; `training` is its argument in predict mode, if it has one."""
    module = eval(call, {"linen": linen})  # noqa: S307 - our own words, stored as what was called
    shape, axis = SHAPES[layout]
    passes = inputs.batches(name, shape, axis, inputs.BATCHES if training else inputs.STATELESS)
    variables = module.init(jax.random.PRNGKey(0), jnp.moveaxis(passes[0][0], axis, -1), **(training or {}))
    own = {ours: theirs for ours, theirs in NAMES.items() if theirs in variables["params"]}
    parameters = {ours: inputs.parameter(name, ours, variables["params"][theirs].shape) for ours, theirs in own.items()}
    states = {name: np.zeros(6) if name == "running_mean" else np.ones(6) for name in STATES} if training else {}
    start, done = states, []
    for index, (x, cotangent) in enumerate(passes):
        is_last = index == len(passes) - 1
        options = {"use_running_average": is_last} if training else {}

        def forward(
            values: dict[str, Any], x: Any, states: dict[str, Any] = states, options: dict[str, bool] = options
        ) -> Any:
            collections = {"params": {own[ours]: value for ours, value in values.items()}}
            if states:
                collections["batch_stats"] = {STATES[ours]: value for ours, value in states.items()}
            y, new = module.apply(collections, jnp.moveaxis(x, axis, -1), mutable=["batch_stats"], **options)
            return jnp.moveaxis(y, -1, axis), new.get("batch_stats", {})

        y, backward, new = jax.vjp(forward, parameters, jnp.asarray(x), has_aux=True)
        gradients, x_gradient = backward(jnp.asarray(cotangent))
        if states and not is_last:
            states = {ours: np.asarray(new[theirs]) for ours, theirs in STATES.items()}
        done.append(Pass(x, cotangent, array(y), array(x_gradient), jax.tree.map(array, gradients), states))
    return Case(Header(name, layout, call), parameters, start, done[:-1], done[-1])


def array(value: Any) -> Any:
    """A float64 array as NumPy's."""
    found = np.asarray(value)
    assert found.dtype == np.float64, found.dtype
    return found


def everywhere(call: str, layouts: tuple[str, ...], training: dict[str, bool] | None = None) -> list[Case]:
    """A case for each layout, in float64 and with the variance as the mean square about the mean."""
    whole = f"{call}, use_fast_variance=False, param_dtype='float64')"
    return [case(layout.lower(), layout, whole, training) for layout in layouts]


if __name__ == "__main__":
    predict = {"use_running_average": True}
    methods = {
        "batch": everywhere("linen.BatchNorm(momentum=0.7, epsilon=1e-3", ("NC", "NCHW", "NTC"), predict),
        "layer": everywhere("linen.LayerNorm(epsilon=1e-3", ("NC", "NCHW", "NTC")),
        "instance": everywhere("linen.InstanceNorm(epsilon=1e-3", ("NCHW", "NTC")),
        "group": everywhere("linen.GroupNorm(num_groups=3, epsilon=1e-3", ("NCHW", "NTC")),
        "rms": everywhere("linen.RMSNorm(epsilon=1e-3", ("NC", "NCHW", "NTC")),
    }
    for method, cases in methods.items():
        write("flax", version("flax"), method, cases)
