"""Layers that the shipped networks share, and the shape of an image. Loads MXNet."""

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


nn = mxnet().gluon.nn
HybridBlock: Any = mxnet().gluon.HybridBlock


class GlobalAverage(HybridBlock):
    """The mean of each channel over all positions: `(N, C, H, W)` to `(N, C)`, or to `(N, C, 1, 1)`.

    MXNet's pooling operator goes back by a slow kernel, and hands its layout down to the layers before it, which
    then are slow as well: a ResNet-20 takes twice as long with it.

    Args:
        channels: C.
        positions: H times W.
        keep_axes: Whether the axes of the positions stay, as those of `GlobalAvgPool2D` do.
    """

    def __init__(self, channels: int, positions: int, *, keep_axes: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.positions = positions
        self._shape = (-1, channels, 1, 1) if keep_axes else (-1, channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Average."""
        weight = F.reshape(constant(F, x, 1 / self.positions, self.positions), shape=(1, -1))
        rows = F.reshape(x, shape=(-1, self.positions))
        return F.reshape(F.FullyConnected(rows, weight, num_hidden=1, no_bias=True), shape=self._shape)

    def __repr__(self) -> str:
        return f"GlobalAverage({self.channels} channels, {self.positions} positions)"


class Dropout(HybridBlock):
    """Set each value to 0 with probability `rate` and divide the others by `1 - rate`; in prediction pass all on.

    Srivastava et al. (JMLR 2014). Any shape in, the same shape out. Gluon's own block asks MXNet for the mode, which
    is the training mode in both graphs of a network (see `normlab.backend.tracing`).

    Args:
        rate: Probability with which a value is dropped, `0 <= rate < 1`.
        axes: Axes along which values are dropped together.
    """

    def __init__(self, rate: float, axes: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.rate = rate
        self.axes = axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Drop, in training."""
        if self.rate == 0 or not is_training():
            return x
        return F.Dropout(x, p=self.rate, axes=self.axes, mode="always")

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


@contextmanager
def noting_dropout(block: Any) -> Iterator[list[str]]:
    """Within it a pass through a network notes its dropout in the order in which it draws.

    Yields:
        What was noted: of each mask the rate, the axes and the shape of an example.
    """
    noted: list[str] = []

    def note(layer: Any, _: Any, output: Any) -> None:
        noted.append(f"{layer.rate} {layer.axes} {output.shape[1:]}")

    layers = [layer for layer in walk(block) if isinstance(layer, Dropout) and layer.rate > 0]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield noted
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
    """A convolution right before a site, `(N, in_channels, H, W)` to `(N, channels, H', W')`.

    Args:
        sites: Says whether a norm at the site brings a shift; else the convolution has a bias, from zeros.
        in_channels: Channels that it takes.
        channels: Channels that it gives.
        initializer: How its weight starts.
        kernel: Rows and columns of the kernel.
        stride: Step between positions.
        padding: Zeros around the image.
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
    """A layer with its activation, and perhaps a norm before or after that.

    Args:
        sites: Makes norms and activations.
        name: What kind of layer it is, such as `dense`.
        index: Its number in the network, from 0.
        make: Makes the layer; takes `use_bias`.
        channels: Its number of outputs.
        layout: The layout of what it gives.
        activation: Its activation.
        has_norm: Whether it has a norm.
        norm_first: Whether the norm stands before the activation.

    Returns:
        The layer and what follows, each with its structural name.
    """
    if not has_norm:
        return [(f"{name}{index}", make()), (f"activation{index}", make_activation(activation))]
    layer = sites.layer_before(make, channels, layout) if norm_first else make()
    site = sites.norm(channels, layout, activation=activation, activation_first=not norm_first, layer_before=layer)
    return [(f"{name}{index}", layer), (f"site{index}", site)]


class Subsampling(HybridBlock):
    """Take every second row and column, and append as many channels of zeros as there are channels.

    `(N, C, H, W)` to `(N, 2 C, ceil(H / 2), ceil(W / 2))`, without parameters: option A of He et al. (CVPR 2016).
    """

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Subsample and pad."""
        kept = F.slice(x, begin=(None, None, None, None), end=(None, None, None, None), step=(1, 1, 2, 2))
        return F.concat(kept, F.zeros_like(kept), dim=1)


class BasicBlock(HybridBlock):
    """A residual block: activation(join(branch(x), shortcut(x))).

    Args:
        branch: The branch, `(N, C, H, W)` to `(N, C', H', W')`.
        shortcut: The shortcut, to the same shape, or None where x has it.
        join: What makes one of the two.
        activation: What comes last.
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
