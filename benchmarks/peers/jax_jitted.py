"""The main job in JAX, jitted: the steps between two evaluations are one compiled loop."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax

Parameters = dict[str, Any]


@jax.jit
def initialize(key: jax.Array) -> Parameters:
    """Draw weights and biases from the truncated normal distribution; scale 1, shift 0."""

    def draw(key: jax.Array, *shape: int) -> jax.Array:
        return common.SIGMA * jax.random.truncated_normal(key, -2, 2, shape)

    keys = jax.random.split(key, (3, 2))
    layers = [(draw(w, a, b), draw(c, b)) for (w, c), a, b in zip(keys, common.SIZES, common.SIZES[1:])]
    return {"layers": layers, "scale": jnp.ones(common.SIZES[1]), "shift": jnp.zeros(common.SIZES[1])}


def batch_norm(inputs: jax.Array, parameters: Parameters) -> jax.Array:
    """Normalize by the statistics of whatever is given."""
    factor = jax.lax.rsqrt(inputs.var(0) + common.EPSILON) * parameters["scale"]
    return (inputs - inputs.mean(0)) * factor + parameters["shift"]


def network(parameters: Parameters, images: jax.Array, variant: str) -> jax.Array:
    """784-100-100-10, tanh everywhere."""
    hidden = images
    for number, (weight, bias) in enumerate(parameters["layers"]):
        hidden = jnp.tanh(hidden @ weight + bias)
        if variant == "bn" and number == 0:
            hidden = batch_norm(hidden, parameters)
    return hidden


def loss(parameters: Parameters, images: jax.Array, labels: jax.Array, variant: str) -> jax.Array:
    """Return the sigmoid cross-entropy, summed over classes and examples."""
    onehot = jax.nn.one_hot(labels, common.SIZES[-1])
    return optax.sigmoid_binary_cross_entropy(network(parameters, images, variant), onehot).sum()


@partial(jax.jit, static_argnames="variant", donate_argnums=0)
def train_steps(
    parameters: Parameters, images: jax.Array, labels: jax.Array, batches: jax.Array, variant: str
) -> Parameters:
    """Take one step of gradient descent for each row of ``batches``, which holds indices of images."""
    optimizer = optax.sgd(common.LEARNING_RATE[variant])

    def step(parameters: Parameters, batch: jax.Array) -> tuple[Parameters, None]:
        gradients = jax.grad(loss)(parameters, images[batch], labels[batch], variant)
        updates, _ = optimizer.update(gradients, optimizer.init(parameters))
        return optax.apply_updates(parameters, updates), None

    return jax.lax.scan(step, parameters, batches)[0]


@partial(jax.jit, static_argnames="variant")
def accuracy(parameters: Parameters, images: jax.Array, labels: jax.Array, variant: str) -> jax.Array:
    """Return the share of images whose largest output is the label's."""
    return (network(parameters, images, variant).argmax(1) == labels).mean()


def batches(count: int, seed: int) -> np.ndarray:
    """Return indices of images, reshuffled each epoch, by evaluation, step and image of the batch."""
    generator = np.random.default_rng(seed)
    epochs = -(-common.STEPS * common.BATCH_SIZE // count)
    order = np.concatenate([generator.permutation(count) for _ in range(epochs)]).astype(np.int32)
    return order[: common.STEPS * common.BATCH_SIZE].reshape(-1, common.EVALUATE_EVERY, common.BATCH_SIZE)


def main() -> None:
    options = common.options(__doc__)
    # compiled programs are kept on disk, as torch.compile does unasked
    jax.config.update("jax_compilation_cache_dir", str(Path(sys.prefix) / "jax-compilation-cache"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    train, test = (tuple(map(jnp.asarray, split)) for split in common.mnist(options.data))
    parameters = initialize(jax.random.key(options.seed))
    rounds = batches(len(train[1]), options.seed)

    watch = common.Stopwatch()
    for number, indices in enumerate(rounds, 1):
        with watch.timing("training"):
            parameters = jax.block_until_ready(train_steps(parameters, *train, indices, options.variant))
        with watch.timing("evaluation"):
            found = [accuracy(parameters, *split, options.variant) for split in (train, test)]
            watch.record(number * common.EVALUATE_EVERY, *np.asarray(found))
    common.report(watch, f"jax {jax.__version__}", options)


if __name__ == "__main__":
    main()
