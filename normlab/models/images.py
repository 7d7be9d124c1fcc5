"""What networks for images ask of the shape of an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from normlab.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

_AXES = 3


class ImageShape(NamedTuple):
    """The shape of an image.

    Attributes:
        channels: Number of channels, 1 for gray and 3 for colour.
        height: Rows.
        width: Columns.
    """

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width} pixels"


def image_shape(shape: Sequence[int], network: str, smallest: int = 1) -> ImageShape:
    """Read the shape of an example as that of an image.

    Args:
        shape: Shape of one example, without the batch.
        network: The network's name, for the message.
        smallest: The fewest rows and columns with which the network can be built.

    Raises:
        SpecError: An example is no image, or too small.
    """
    if len(shape) != _AXES:
        raise SpecError(
            f"{network}: an example of the data set has shape {tuple(shape)}; "
            "expected an image, (channels, height, width); choose model mlp, which takes any shape"
        )
    image = ImageShape(*shape)
    if min(image.height, image.width) < smallest:
        raise SpecError(
            f"{network}: images of {image} are too small; expected at least {smallest}x{smallest}; "
            "choose a smaller network, such as resnet or vgg, or other data"
        )
    return image
