"""Layers that the shipped networks share, and the shape of images. Imports MXNet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import constant, is_training
from normlab.errors import SpecError
from normlab.models.tree import walk
from normlab.ops.activations import make_activation

if TYPE_CHECKING:
    from normlab.models.sites import Sites

nn = mxnet().gluon.nn
HybridBlock: Any = mxnet().gluon.HybridBlock

_AXES = 3


class ImageShape(NamedTuple):
    """The shape of an image.

    Attributes:
        channels: Number of channels, 1 for gray and 3 for color.
        height: Number of rows.
        width: Number of columns.
    """

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width} pixels"


def image_shape(shape: Sequence[int], network: str, smallest: int = 1) -> ImageShape:
    """Return the shape of an example as an image shape.

    Args:
        shape: Shape of one example, without the batch axis.
        network: Name of the network, for messages.
        smallest: Minimum number of rows and columns of the network's images.

    Raises:
        SpecError: The example is not an image, or is too small.
    """
    if len(shape) != _AXES:
        raise SpecError(
            f"{network}: an example of the data set has shape {tuple(shape)}; "
            "expected an image, (channels, height, width); choose model mlp, which accepts any shape"
        )
    image = ImageShape(*shape)
    if min(image.height, image.width) < smallest:
        raise SpecError(
            f"{network}: images of {image} are too small; expected at least {smallest}x{smallest}; "
            "choose a smaller network, such as resnet or vgg, or other data"
        )
    return image


class GlobalAverage(HybridBlock):
    """Mean of each channel over all positions: `(N, C, H, W)` to `(N, C)`, or to `(N, C, 1, 1)`.

    MXNet's pooling operator has a slow backward kernel, and its layout also slows down the layers before it: a
    ResNet-20 takes twice as long with it.

    Args:
        channels: Number of channels, C.
        positions: Number of positions, H times W.
        keep_axes: Whether to keep the axes of the positions, as `GlobalAvgPool2D` does.
    """

    def __init__(self, channels: int, positions: int, *, keep_axes: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.positions = positions
        self._shape = (-1, channels, 1, 1) if keep_axes else (-1, channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Average x over all positions."""
        weight = F.reshape(constant(F, x, 1 / self.positions, self.positions), shape=(1, -1))
        rows = F.reshape(x, shape=(-1, self.positions))
        return F.reshape(F.FullyConnected(rows, weight, num_hidden=1, no_bias=True), shape=self._shape)

    def __repr__(self) -> str:
        return f"GlobalAverage({self.channels} channels, {self.positions} positions)"


class Dropout(HybridBlock):
    """Set each value to 0 with probability `rate` and divide the others by `1 - rate`; the identity in eval mode.

    Srivastava et al. (JMLR 2014). The input can have any shape, which the output has as well. Gluon's own block uses
    MXNet's mode, which is training in both graphs of a network (see `normlab.backend.tracing`).

    Args:
        rate: Probability with which a value is dropped, `0 <= rate < 1`.
        axes: Axes along which values are dropped together.
    """

    def __init__(self, rate: float, axes: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.rate = rate
        self.axes = axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Drop values in training."""
        if self.rate == 0 or not is_training():
            return x
        return F.Dropout(x, p=self.rate, axes=self.axes, mode="always")

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


@contextmanager
def record_dropout(block: Any) -> Iterator[list[str]]:
    """Record the dropout masks of forward passes inside the context, in the order in which they are drawn.

    Yields:
        A list that receives the rate, the axes and the shape of an example of each mask.
    """
    masks: list[str] = []

    def record(layer: Any, _: Any, output: Any) -> None:
        masks.append(f"{layer.rate} {layer.axes} {output.shape[1:]}")

    layers = [layer for layer in walk(block) if isinstance(layer, Dropout) and layer.rate > 0]
    hooks = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.detach()


def convolution(
    sites: Sites,
    in_channels: int,
    channels: int,
    initializer: Any,
    *,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 1,
) -> Any:
    """Build a convolution right before a site, `(N, in_channels, H, W)` to `(N, channels, H', W')`.

    It has a bias, initialized to zeros, unless the norm at the site has a shift.

    Args:
        sites: Builds the network's sites.
        in_channels: Number of input channels.
        channels: Number of output channels.
        initializer: Initializer of the weight.
        kernel: Rows and columns of the kernel.
        stride: Stride.
        padding: Zero padding on each side of the image.
    """
    make = partial(
        nn.Conv2D,
        channels,
        kernel,
        strides=stride,
        padding=padding,
        in_channels=in_channels,
        weight_initializer=initializer,
    )
    return sites.layer_before(make, channels, "NCHW")


def hidden_layer(
    sites: Sites,
    name: str,
    index: int,
    make: Callable[..., Any],
    channels: int,
    layout: str,
    *,
    activation: str,
    has_norm: bool,
    norm_first: bool = True,
) -> list[tuple[str, Any]]:
    """Build a hidden layer with its activation and, optionally, a norm before or after the activation.

    Args:
        sites: Builds norms and activations.
        name: The kind of layer, such as `dense`, for structural names.
        index: Number of the layer in the network, from 0.
        make: Builds the layer; accepts `use_bias`.
        channels: Number of outputs.
        layout: Layout of the output.
        activation: Name of the activation.
        has_norm: Whether the layer has a norm.
        norm_first: Whether the norm comes before the activation.

    Returns:
        The layer and the block that follows it, each with its structural name.
    """
    if not has_norm:
        return [(f"{name}{index}", make()), (f"activation{index}", make_activation(activation))]
    layer = sites.layer_before(make, channels, layout) if norm_first else make()
    site = sites.norm(channels, layout, activation=activation, activation_first=not norm_first, layer_before=layer)
    return [(f"{name}{index}", layer), (f"site{index}", site)]


class Subsampling(HybridBlock):
    """Keep every second row and column, and append as many channels of zeros as there are channels.

    `(N, C, H, W)` to `(N, 2 C, ceil(H / 2), ceil(W / 2))`, without parameters: option A of He et al. (CVPR 2016).
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Subsample x and append channels of zeros."""
        kept = F.slice(x, begin=(None, None, None, None), end=(None, None, None, None), step=(1, 1, 2, 2))
        return F.concat(kept, F.zeros_like(kept), dim=1)


class BasicBlock(HybridBlock):
    """A residual block: activation(join(branch(x), shortcut(x))).

    Args:
        branch: The branch, `(N, C, H, W)` to `(N, C', H', W')`.
        shortcut: The shortcut, to the same shape, or None for the identity.
        join: Combines the two, such as their sum.
        activation: The activation of the result.
    """

    def __init__(self, branch: Any, shortcut: Any, join: Any, activation: Any) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.join = join
        self.activation = activation

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: ARG002 - Gluon's signature
        """Compute the block."""
        identity = x if self.shortcut is None else self.shortcut(x)
        return self.activation(self.join(self.branch(x), identity))
