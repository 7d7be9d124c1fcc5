"""Classification losses by name: those of Gluon that suit classification.

Each computes the loss of every example, summed over the K classes (Gluon divides by K). `reduction` says whether a step
minimizes the sum or the mean of these over the batch. In the formulas, z are the outputs, y is the label, and s_k is 1
for the class y and -1 for the others. `sigmoid_cross_entropy` equals Gluon's logistic loss.
"""

from __future__ import annotations

from typing import Annotated, Any, Callable, Literal, NamedTuple

from pydantic import Field, PositiveFloat

Reduction = Literal["sum", "mean"]
Share = Annotated[float, Field(ge=0, lt=1)]


class Loss(NamedTuple):
    """A loss that can be used in a graph.

    Attributes:
        each: `each(F, outputs, labels)` computes the loss of each example, `(N,)`, from outputs `(N, K)` and labels
            `(N,)`.
        reduction: Whether a step minimizes the `sum` or the `mean` over its batch.
    """

    each: Callable[[Any, Any, Any], Any]
    reduction: str


def softmax_cross_entropy(*, reduction: Reduction = "mean", label_smoothing: Share = 0.0) -> Loss:
    """Compute the cross-entropy of the softmax of the outputs: `-log softmax(z)_y`.

    With smoothing, compute `-sum_k q_k log softmax(z)_k`, where `q_k = label_smoothing / K`, plus `1 - label_smoothing`
    for the class y (Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7).

    Args:
        reduction: Sum or mean over the examples of a batch.
        label_smoothing: Fraction of the label that is spread evenly over all classes.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        logarithms = F.log_softmax(outputs, axis=-1)
        of_label = F.negative(F.pick(logarithms, labels, axis=-1))
        if not label_smoothing:
            return of_label
        return (1 - label_smoothing) * of_label - label_smoothing * F.mean(logarithms, axis=-1)

    return Loss(each, reduction)


def sigmoid_cross_entropy(*, reduction: Reduction = "mean") -> Loss:
    """Compute the cross-entropy of the sigmoid of each output against one-hot labels, summed over the classes.

    `sum_k max(z_k, 0) - z_k y_k + log(1 + exp(-|z_k|))`, which does not overflow for any z.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        # log(1 + exp(-|z|)) + max(z, 0) = log(1 + exp(z))
        all_off = F.sum(F.Activation(outputs, act_type="softrelu"), axis=-1)
        return all_off - F.pick(outputs, labels, axis=-1)

    return Loss(each, reduction)


def squared_error(*, reduction: Reduction = "mean") -> Loss:
    """Compute half the squared distance to the one-hot label: `1/2 sum_k (z_k - [k = y])^2`.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.square(outputs - _one_hot(F, outputs, labels)), axis=-1) / 2

    return Loss(each, reduction)


def absolute_error(*, reduction: Reduction = "mean") -> Loss:
    """Compute the sum of the distances to the one-hot label: `sum_k |z_k - [k = y]|`.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.abs(outputs - _one_hot(F, outputs, labels)), axis=-1)

    return Loss(each, reduction)


def huber(*, reduction: Reduction = "mean", threshold: PositiveFloat = 1.0) -> Loss:
    """Compute the Huber loss (1964) against the one-hot label, summed over the classes.

    With `d = |z_k - [k = y]|`: `d^2 / (2 threshold)` up to the threshold, `d - threshold / 2` beyond.

    Args:
        reduction: Sum or mean over the examples of a batch.
        threshold: Distance beyond which the loss is linear.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        # the operator computes 1/2 (sigma x)^2 up to 1 / sigma^2
        distance = outputs - _one_hot(F, outputs, labels)
        return F.sum(F.smooth_l1(distance, scalar=threshold**-0.5), axis=-1)

    return Loss(each, reduction)


def one_vs_rest_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Compute the hinge loss of each output, as of one classifier per class: `sum_k max(0, margin - s_k z_k)`.

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: Distance from 0 on the correct side at which an output has no loss.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.relu(margin - _signs(F, outputs, labels) * outputs), axis=-1)

    return Loss(each, reduction)


def one_vs_rest_squared_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Compute the squared hinge loss of each output: `sum_k max(0, margin - s_k z_k)^2`.

    The loss of Tang (arXiv:1306.0239), without its penalty factor.

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: Distance from 0 on the correct side at which an output has no loss.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.sum(F.square(F.relu(margin - _signs(F, outputs, labels) * outputs)), axis=-1)

    return Loss(each, reduction)


def multiclass_hinge(*, reduction: Reduction = "mean", margin: PositiveFloat = 1.0) -> Loss:
    """Compute the hinge loss of each other class against the class y: `sum_(k != y) max(0, margin + z_k - z_y)`.

    Weston and Watkins (ESANN 1999).

    Args:
        reduction: Sum or mean over the examples of a batch.
        margin: By how much the output of the class y must exceed the others for no loss.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        of_label = F.pick(outputs, labels, axis=-1, keepdims=True)
        # the class y itself adds the margin, and no gradient
        return F.sum(F.relu(F.broadcast_sub(outputs, of_label) + margin), axis=-1) - margin

    return Loss(each, reduction)


def _one_hot(F: Any, outputs: Any, labels: Any) -> Any:
    """Return 1 for the class of the label and 0 for the others, `(N, K)`. `F.one_hot` would need to know K."""
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
