"""What can be done to training examples, by name, with typed parameters; see `normlab.training.augmenter`.

Random choices are drawn for each example and each step. The order of a spec is kept: where `crop` stands before
`standardize`, what it brings in from beyond the edge is black before the image is standardized; where it stands after,
it is the mean of the channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Callable

from pydantic import Field, PositiveInt

if TYPE_CHECKING:
    from normlab.training.augmenter import Crop, Flip, Standardize, Transform

Probability = Annotated[float, Field(gt=0, le=1)]


def crop(*, padding: PositiveInt = 4) -> Crop:
    """Shift an image by up to `padding` pixels, down or up and right or left; what comes in is 0.

    The same as to surround it with so many pixels and cut out a piece of its size: all `(2 padding + 1)^2` shifts are
    equally likely.

    Args:
        padding: Most pixels of a shift.
    """
    from normlab.training.augmenter import Crop  # noqa: PLC0415 - loads NumPy, which checking a spec does without

    return Crop(padding)


def flip(*, probability: Probability = 0.5, force: bool = False) -> Flip:
    """Turn an image left to right; refused for data whose labels do not survive it, such as digits.

    Args:
        probability: Probability with which an image is turned.
        force: Turn it whatever the data set says.
    """
    from normlab.training.augmenter import Flip  # noqa: PLC0415 - loads NumPy, which checking a spec does without

    return Flip(probability, force=force)


def standardize() -> Standardize:
    """Subtract each channel's mean and divide by its standard deviation; nothing random, so in evaluation too.

    Both are those of the train split, over all its examples and pixels; a channel that never changes is only centred.
    """
    from normlab.training.augmenter import Standardize  # noqa: PLC0415 - loads NumPy, likewise

    return Standardize()


AUGMENTATIONS: dict[str, Callable[..., Transform]] = {
    function.__name__: function for function in (crop, flip, standardize)
}
