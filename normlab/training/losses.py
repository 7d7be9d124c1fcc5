"""Losses by name. Each gives the loss of every example, summed over classes; `reduction` says what the step takes."""

from __future__ import annotations

from typing import Any, Callable, Literal, NamedTuple

Reduction = Literal["sum", "mean"]


class Loss(NamedTuple):
    """A loss, ready for a graph.

    Attributes:
        each: `each(F, outputs, labels)` gives the loss of each example, `(N,)`.
        reduction: Whether a step minimizes the sum over its batch or the mean.
    """

    each: Callable[[Any, Any, Any], Any]
    reduction: str


def softmax_cross_entropy(*, reduction: Reduction = "mean") -> Loss:
    """Cross-entropy of the softmax of the outputs: `-log softmax(z)_y`.

    Args:
        reduction: Sum or mean over the examples of a batch.
    """

    def each(F: Any, outputs: Any, labels: Any) -> Any:
        return F.negative(F.pick(F.log_softmax(outputs, axis=-1), labels, axis=-1))

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


LOSSES: dict[str, Callable[..., Loss]] = {
    function.__name__: function for function in (softmax_cross_entropy, sigmoid_cross_entropy)
}
