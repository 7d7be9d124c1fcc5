"""Transforms of training examples, by name, with typed parameters; see `normlab.training.augmenter`.

Random transforms are drawn anew for each example and each step, and applied in the order of the spec. If `crop` comes
before `standardize`, it fills in black before standardization; if it comes after, it fills in the mean of the channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Callable

from pydantic import Field, PositiveInt

if TYPE_CHECKING:
    from normlab.training.augmenter import Crop, Flip, Standardize, Transform

Probability = Annotated[float, Field(gt=0, le=1)]


def crop(*, padding: PositiveInt = 4) -> Crop:
    """Shift an image by up to `padding` pixels vertically and horizontally, and fill in 0.

    Equivalent to padding the image on all sides and cropping it to its size at random: all `(2 padding + 1)^2` shifts
    are equally likely.

    Args:
        padding: Largest shift, in pixels.
    """
    from normlab.training.augmenter import Crop  # noqa: PLC0415 - loads MXNet, which checking a spec doesn't need

    return Crop(padding)


def flip(*, probability: Probability = 0.5, force: bool = False) -> Flip:
    """Flip an image left to right. Refused for data whose labels a flip would change, such as digits.

    Args:
        probability: Probability with which an image is flipped.
        force: Flip the images even if the data set says that this changes labels.
    """
    from normlab.training.augmenter import Flip  # noqa: PLC0415 - as above

    return Flip(probability, force=force)


def standardize() -> Standardize:
    """Subtract the mean of each channel and divide by its standard deviation, in training and in evaluation.

    Both are taken over all examples and pixels of the train split. A constant channel is only centered.
    """
    from normlab.training.augmenter import Standardize  # noqa: PLC0415 - as above

    return Standardize()


AUGMENTATIONS: dict[str, Callable[..., Transform]] = {
    function.__name__: function for function in (crop, flip, standardize)
}
