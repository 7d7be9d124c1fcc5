"""What a normalization method is: the contract that every plugin meets.

A method acts in one or more of six ways, each a class whose constructor takes the method's parameters: `layer` in
place of a `BatchNorm`, `weight` on the weights of `Dense` and `Conv`, `residual` where the branch of a residual block
meets its shortcut, `initialize` once after the parameters are drawn, `gradient` before and `project` after every
optimizer step. The signatures of these constructors are the schema of the method's block in a spec.

None of this imports MXNet, so that methods can be listed and specs checked without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from normlab.errors import SpecError
from normlab.norms.ways import WAYS, NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight


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
        from normlab.norms.blocks import NormBlock  # noqa: PLC0415 - loads MXNet, which listing does without

        return NormBlock(self.layer(**parameters), layer_before)
