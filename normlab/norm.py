"""What a normalization method is: the contract that every plugin meets.

A method acts in one or more of six ways, each a class whose constructor takes the method's parameters: `layer` in
place of a `BatchNorm`, `weight` on the weights of `Dense` and `Conv`, `residual` where the branch of a residual block
meets its shortcut, `initialize` once after the parameters are drawn, `gradient` before and `project` after every
optimizer step. The signatures of these constructors are the schema of the method's block in a spec.

None of this imports MXNet, so that methods can be listed and specs checked without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, ClassVar, NamedTuple, Optional

from normlab.errors import PluginBroken, SpecError
from normlab.norm_ways import NormGradient, NormInitialize, NormProject, NormResidual, NormWeight
from normlab.parameterized import Initializer, Parameterized

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The layouts in which sites occur, with the channel axis of each.
LAYOUTS = {"NC": 1, "NCHW": 1, "NTC": 2}

WAYS = ("layer", "weight", "residual", "initialize", "gradient", "project")


class NormLayer(Parameterized):
    """A method that acts at every site, in place of a `BatchNorm`.

    A subclass declares its parameters and states in its constructor and computes in `hybrid_forward`. What it sees is
    always `(N, C)` or `(N, C, positions ...)`: other channel axes are moved there and back for it.

    Args:
        in_channels: Number of channels C; 0 if it is known only at the first call.
        layout: Where the site is: `NC`, `NCHW` or `NTC`.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
        gamma_initializer: How gamma starts; some networks ask for zeros in the last norm of a residual branch.
        beta_initializer: How beta starts.
        activation: The activation that follows the site, or None.

    Raises:
        SpecError: The method has no definition for this layout.
    """

    #: The layouts for which the method is defined.
    layouts: ClassVar[tuple[str, ...]] = ("NC", "NCHW", "NTC")
    #: Whether the method stands for the activation as well: the network then puts none after it.
    replaces_activation: ClassVar[bool] = False
    #: Whether the method applies the activation itself, `self.activation`, inside its formula.
    needs_activation: ClassVar[bool] = False
    #: Whether the method looks at the layer right before the site. Then `hybrid_forward` gets, after x, what that layer
    #: takes in this pass, and its weight; `self.before` knows its geometry (`normlab.layer_before.LayerBefore`).
    needs_layer_before: ClassVar[bool] = False

    def __init__(
        self,
        *,
        in_channels: int = 0,
        layout: str = "NCHW",
        scale: bool = True,
        center: bool = True,
        gamma_initializer: Initializer = "ones",
        beta_initializer: Initializer = "zeros",
        activation: Optional[str] = None,
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise SpecError(f"{type(self).__name__}: unknown layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
        if layout not in self.layouts:
            raise SpecError(
                f"{type(self).__name__} is not defined for layout {layout}; it is defined for "
                f"{', '.join(self.layouts)}; choose another method or another network"
            )
        self.in_channels = in_channels
        self.layout = layout
        self.axis = LAYOUTS[layout]
        self.scale = scale
        self.center = center
        self.gamma_initializer = gamma_initializer
        self.beta_initializer = beta_initializer
        self.activation = activation
        self.before: Any = None

    def affine(self, *, scale: bool = True, center: bool = True) -> None:
        """Declare gamma and beta, each `(C,)`, learned if the site lets them be.

        Args:
            scale: Declare gamma.
            center: Declare beta.
        """
        if scale:
            self.parameter("gamma", self.gamma_initializer, trainable=self.scale)
        if center:
            self.parameter("beta", self.beta_initializer, trainable=self.center)

    def prepare(self) -> None:
        """Called once when `in_channels` is known, before anything is computed: the place to refuse a number."""

    def hybrid_forward(self, F: Any, x: Any, **parameters: Any) -> Any:
        """Compute the method.

        Args:
            F: `mx.nd` or `mx.sym`.
            x: Activations, `(N, C)` or `(N, C, positions ...)`; with `needs_layer_before`, what the layer before takes
                and its weight follow.
            **parameters: What was declared, by name.

        Returns:
            Activations of the same shape.
        """
        raise PluginBroken(f"{type(self).__name__} has no hybrid_forward(self, F, x, ...)")

    @property
    def brings_shift(self) -> bool:
        """Whether a learned beta makes a bias before the site superfluous."""
        return any(name.startswith("beta") and declared.trainable for name, declared in self.declared.items())


class Source(NamedTuple):
    """Where a registered object came from.

    Attributes:
        distribution: Name of the distribution, or "" for a single file.
        version: Version of the distribution.
        file: Path of the file that registers it.
    """

    distribution: str = ""
    version: str = ""
    file: str = ""


@dataclass(frozen=True)
class Norm:
    """One normalization method, as a plugin registers it.

    Attributes:
        name: Its name in specs, `[a-z][a-z0-9_]*`.
        layer: Class of the layer way.
        weight: Class of the weight way.
        residual: Class of the residual way.
        initialize: Class of the initialize way.
        gradient: Class of the gradient way.
        project: Class of the project way.
        title: The method's full name.
        formula: The equation, as text.
        authors: Family names, as in the paper.
        venue: Where it was published.
        year: When it was published.
        paper: `arXiv:...`, `doi:...` or an address.
        paper_title: What the paper is called, for whoever cites it.
        provenance: `confirmed` by the paper or its authors' code, or `unconfirmed`.
        expected_failures: Checks of `normlab check` that the method fails by its nature, each with the reason.
        source: Where it came from; filled in by the catalogue.
    """

    name: str
    layer: Optional[type[NormLayer]] = None
    weight: Optional[type[NormWeight]] = None
    residual: Optional[type[NormResidual]] = None
    initialize: Optional[type[NormInitialize]] = None
    gradient: Optional[type[NormGradient]] = None
    project: Optional[type[NormProject]] = None
    title: str = ""
    formula: str = ""
    authors: str = ""
    venue: str = ""
    year: Optional[int] = None
    paper: str = ""
    paper_title: str = ""
    provenance: str = "confirmed"
    expected_failures: Mapping[str, str] = field(default_factory=dict, hash=False)
    source: Source = field(default=Source(), compare=False)

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways in which it acts, by name."""
        return tuple(way for way in WAYS if getattr(self, way) is not None)

    @property
    def factories(self) -> tuple[Callable[..., Any], ...]:
        """The classes of its ways, whose signatures are its schema."""
        return tuple(getattr(self, way) for way in self.ways)

    @property
    def summary(self) -> str:
        """One line on what it does: its title, or the first line of its class."""
        if self.title:
            return self.title
        text = next((factory.__doc__ for factory in self.factories if factory.__doc__), "") or ""
        return text.strip().split("\n", 1)[0]

    def block(self, *, layer_before: Any = None, **parameters: Any) -> Any:
        """Make the method's layer as a Gluon block, to be used in any network.

        Args:
            layer_before: The `Dense` or `Conv2D` layer right before the block, for a method that looks at its weight.
            **parameters: The method's parameters and the site's (`in_channels`, `layout`, ...).

        Returns:
            A `HybridBlock`.

        Raises:
            SpecError: The method has no layer, or the site does not suit it.
        """
        if self.layer is None:
            raise SpecError(f"norm {self.name!r} puts no layer into a network; it acts by {', '.join(self.ways)}")
        from normlab.norm_block import NormBlock  # noqa: PLC0415 - loads MXNet, which listing does without

        return NormBlock(self.layer(**parameters), layer_before)
