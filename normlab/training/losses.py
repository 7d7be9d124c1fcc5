"""Losses by name, for classification: those of Gluon's that are meant for it.

Each gives the loss of every example, summed over the K classes (Gluon's own divide by K); `reduction` says what a step
minimizes: their sum over the batch, or their mean. z is the outputs, y the label, and s_k is 1 for the class y and -1
for the others. `sigmoid_cross_entropy` is Gluon's logistic loss as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Callable, Literal, NamedTuple

from pydantic import Field, PositiveFloat

Reduction = Literal["sum", "mean"]
Share = Annotated[float, Field(ge=0, lt=1)]


class Loss(NamedTuple):
    """A loss, ready for a graph.

    Attributes:
        each: `each(F, outputs, labels)` gives the loss of each example, `(N,)`, of outputs `(N, K)` and labels `(N,)`.
        reduction: Whether a step minimizes the sum over its batch or the mean.
    """

    each: Callable[[Any, Any, Any], Any]
    reduction: str


def softmax_cross_entropy(*, reduction: Reduction = "mean", label_smoothing: Share = 0.0) -> Loss:
    """Cross-entropy of the softmax of the outputs: `-log softmax(z)_y`.

    With smoothing, `-sum_k q_k log softmax(z)_k`, where `q = label_smoothing / K`, and `1 - label_smoothing` more for
    the class y (Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7).

    Args:
        reduction: Sum or mean over the examples of a batch.
        label_smoothing: Share of the label that is spread evenly over all classes.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        logarithms = F.log_softmax(outputs, axis=-1)
        right = F.negative(F.pick(logarithms, labels, axis=-1))
        if not label_smoothing:
            return right
        return (1 - label_smoothing) * right - label_smoothing * F.mean(logarithms, axis=-1)

    return Loss(each, reduction)


def sigmoid_cross_entropy(*, reduction: Reduction = "mean") -> Loss:
    """Cross-entropy of the sigmoid of each output against one-hot labels, summed over the classes.

    `sum_k max(z_k, 0) - z_k y_k + log(1 + exp(-|z_k|))`, which overflows for no z.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        # log(1 + exp(-|z|)) + max(z, 0) = log(1 + exp(z))
        all_off = F.sum(F.Activation(outputs, act_type="softrelu"), axis=-1)
        return all_off - F.pick(outputs, labels, axis=-1)

    return Loss(each, reduction)


def squared_error(*, reduction: Reduction = "mean") -> Loss:
    """Half the squared distance to the one-hot label: `1/2 sum_k (z_k - [k = y])^2`.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.square(outputs - _one_hot(F, outputs, labels)), axis=-1) / 2

    return Loss(each, reduction)


def absolute_error(*, reduction: Reduction = "mean") -> Loss:
    """Sum of the distances to the one-hot label: `sum_k |z_k - [k = y]|`.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.abs(outputs - _one_hot(F, outputs, labels)), axis=-1)

    return Loss(each, reduction)


def huber(*, reduction: Reduction = "mean", threshold: PositiveFloat = 1.0) -> Loss:
    """Squared near the one-hot label, linear far from it, summed over the classes.

    With `d = |z_k - [k = y]|`: `d^2 / (2 threshold)` up to the threshold, `d - threshold / 2` beyond. Huber (1964).

    Args:
        reduction: Sum or mean over the examples of a batch.
        threshold: Distance beyond which it is linear.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        # the operator has 1/2 (sigma x)^2 up to 1 / sigma^2
        distance = outputs - _one_hot(F, outputs, labels)
        return F.sum(F.smooth_l1(distance, scalar=threshold**-0.5), axis=-1)

    return Loss(each, reduction)


def one_vs_rest_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Hinge of each output, as of a machine for each class: `sum_k max(0, margin - s_k z_k)`.

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: How far on its side an output must be to cost nothing.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.relu(margin - _signs(F, outputs, labels) * outputs), axis=-1)

    return Loss(each, reduction)


def one_vs_rest_squared_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Squared hinge of each output: `sum_k max(0, margin - s_k z_k)^2`.

    The loss of Tang (arXiv:1306.0239), without its factor of the penalty.

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: How far on its side an output must be to cost nothing.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.square(F.relu(margin - _signs(F, outputs, labels) * outputs)), axis=-1)

    return Loss(each, reduction)


def multiclass_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Hinge of each other class against the right one: `sum_(k != y) max(0, margin + z_k - z_y)`.

    Weston and Watkins (ESANN 1999).

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: By how much the right output must exceed each other to cost nothing.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        right = F.pick(outputs, labels, axis=-1, keepdims=True)
        # the right class itself adds the margin, and no gradient
        return F.sum(F.relu(F.broadcast_sub(outputs, right) + margin), axis=-1) - margin

    return Loss(each, reduction)


def _one_hot(F: Any, outputs: Any, labels: Any) -> Any:
    """1 for the class of the label, 0 for the others, `(N, K)`; `F.one_hot` would have to be told K."""
    classes = F.expand_dims(F.contrib.arange_like(outputs, axis=1), axis=0)
    return F.BlockGrad(F.broadcast_equal(F.expand_dims(labels, axis=-1), classes))


def _signs(F: Any, outputs: Any, labels: Any) -> Any:
    return 2 * _one_hot(F, outputs, labels) - 1


LOSSES: dict[str, Callable[..., Loss]] = {
    function.__name__: function
    for function in (
        softmax_cross_entropy,
        sigmoid_cross_entropy,
        squared_error,
        absolute_error,
        huber,
        one_vs_rest_hinge,
        one_vs_rest_squared_hinge,
        multiclass_hinge,
    )
}
