"""The main job in TensorFlow, graph mode with a session: the course notebook's program."""

from __future__ import annotations

import os

import common
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded: no notes about the processor
import tensorflow as tf

v1 = tf.compat.v1


def dense(inputs: tf.Tensor, units: int) -> tf.Tensor:
    """Return tanh(inputs W + b), both drawn from the truncated normal distribution."""
    draw = v1.truncated_normal_initializer(stddev=common.SIGMA)
    weight = v1.get_variable("weight", [inputs.shape[1], units], initializer=draw)
    bias = v1.get_variable("bias", [units], initializer=draw)
    return tf.tanh(v1.nn.xw_plus_b(inputs, weight, bias))


def batch_norm(inputs: tf.Tensor) -> tf.Tensor:
    """Normalize by the statistics of whatever is fed, with scale and shift learned."""
    scale = v1.get_variable("scale", inputs.shape[1:], initializer=v1.ones_initializer())
    shift = v1.get_variable("shift", inputs.shape[1:], initializer=v1.zeros_initializer())
    mean, variance = tf.nn.moments(inputs, [0])
    return tf.nn.batch_normalization(inputs, mean, variance, shift, scale, common.EPSILON)


def network(images: tf.Tensor, variant: str) -> tf.Tensor:
    """784-100-100-10; every call uses the same variables."""
    hidden = images
    for number, units in enumerate(common.SIZES[1:]):
        with v1.variable_scope(f"layer{number}", reuse=v1.AUTO_REUSE):
            hidden = dense(hidden, units)
            if variant == "bn" and number == 0:
                hidden = batch_norm(hidden)
    return hidden


def accuracy(images: tf.Tensor, labels: tf.Tensor, variant: str) -> tf.Tensor:
    """Return the share of images whose largest output is the label's."""
    guess = tf.argmax(network(images, variant), 1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(tf.equal(guess, labels), tf.float32))


def resident(arrays: common.Arrays, feed: dict[tf.Tensor, np.ndarray]) -> list[tf.Variable]:
    """Return variables that will hold the arrays on the device; ``feed`` gets what their initialization needs."""
    placeholders = [v1.placeholder(array.dtype, array.shape) for array in arrays]
    feed.update(zip(placeholders, arrays))
    return [v1.Variable(placeholder, trainable=False) for placeholder in placeholders]


def main() -> None:
    options = common.options(__doc__)
    train, test = common.mnist(options.data)
    v1.disable_eager_execution()
    v1.set_random_seed(options.seed)
    generator = np.random.default_rng(options.seed)

    feed: dict[tf.Tensor, np.ndarray] = {}
    (images, labels), test_split = resident(train, feed), resident(test, feed)
    batch = v1.placeholder(tf.int32, [common.BATCH_SIZE])
    outputs = network(tf.gather(images, batch), options.variant)
    onehot = tf.one_hot(tf.gather(labels, batch), common.SIZES[-1])
    loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=onehot, logits=outputs))
    optimizer = v1.train.GradientDescentOptimizer(common.LEARNING_RATE[options.variant])
    minimize = optimizer.minimize(loss)
    accuracies = [accuracy(images, labels, options.variant), accuracy(*test_split, options.variant)]

    watch = common.Stopwatch()
    with v1.Session() as session:
        session.run(v1.global_variables_initializer(), feed)
        train_step, evaluate = session.make_callable(minimize, [batch]), session.make_callable(accuracies)
        step = 0
        while step < common.STEPS:
            order = generator.permutation(len(train.labels)).astype(np.int32)
            for indices in order.reshape(-1, common.BATCH_SIZE)[: common.STEPS - step]:
                with watch.timing("training"):
                    train_step(indices)
                step += 1
                if step % common.EVALUATE_EVERY == 0:
                    with watch.timing("evaluation"):
                        watch.record(step, *evaluate())
    common.report(watch, f"tensorflow {tf.__version__}", options)


if __name__ == "__main__":
    main()
