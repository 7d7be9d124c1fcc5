"""Which methods `normlab norms` lists: by family, by what they need, by where they are defined, by year."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar

import click

from normlab.errors import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from normlab.norms.contract import Norm

Function = TypeVar("Function", bound=Callable[..., object])

_LAYOUTS = ("NC", "NCHW", "NTC")
_WAYS = ("layer", "weight", "residual", "initialize", "gradient", "project")
#: The folder of the methods that are part of normlab itself, and what it is called in lists.
_BUILT_IN = ("norms", "built_in")


class Years(NamedTuple):
    """Years from the first to the last, both included."""

    first: int
    last: int


class _YearsType(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic in newer releases only
    name = "years"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Years:
        if isinstance(value, Years):
            return value
        first, dots, last = str(value).partition("..")
        ends = (first or "0", (last or "9999") if dots else first)
        if not all(end.isdigit() for end in ends) or value == "..":
            self.fail(f"{value!r}; expected a year, or years such as 2018..2021 or 2020..", param, ctx)
        return Years(*map(int, ends))


class Filter(NamedTuple):
    """What a person asked for; None or empty where all will do.

    Attributes:
        families: Families, of which a method has one.
        ways: Ways in which it acts, at least one of them.
        depends_on_batch: Whether what it does to an example depends on the other ones.
        has_state: Whether it keeps running state.
        layouts: Layouts for which it has to be defined, all of them.
        years: When it was published.
    """

    families: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    depends_on_batch: Optional[bool] = None
    has_state: Optional[bool] = None
    layouts: tuple[str, ...] = ()
    years: Optional[Years] = None

    def of(self, norms: Iterable[Norm]) -> list[Norm]:
        """The methods that are asked for.

        Raises:
            click.UsageError: There is no such family.
        """
        norms = list(norms)
        known = sorted({family(norm) for norm in norms})
        for asked in self.families:
            if asked not in known:
                hint = suggestion(asked, known)
                raise click.UsageError(f"--family: unknown {asked!r}{hint}; expected one of {', '.join(known)}")
        return [norm for norm in norms if self._fits(norm)]

    def _fits(self, norm: Norm) -> bool:
        layouts = norm.layer.layouts if norm.layer is not None else ()
        return (
            (not self.families or family(norm) in self.families)
            and (not self.ways or bool({*self.ways} & {*norm.ways}))
            and self.depends_on_batch in {None, depends_on_batch(norm)}
            and self.has_state in {None, has_state(norm)}
            and {*self.layouts} <= {*layouts}
            and (self.years is None or self.years.first <= (norm.year or -1) <= self.years.last)
        )


def options(function: Function) -> Function:
    """Add the options of a `Filter`, which the command gets as `family`, `way`, `batch`, `state`, `layout`, `year`."""
    for option in reversed(
        (
            click.option(
                "--family", multiple=True, metavar="NAME", help="Only this family, e.g. whitening; may be repeated."
            ),
            click.option("--way", multiple=True, type=click.Choice(_WAYS), help="Only methods that act in this way."),
            click.option(
                "--depends-on-batch",
                "batch",
                type=click.Choice(("yes", "no")),
                help="Only methods that use other examples of the batch, or only those that don't.",
            ),
            click.option(
                "--state",
                type=click.Choice(("yes", "no")),
                help="Only methods with running state, or only those without.",
            ),
            click.option(
                "--layout", multiple=True, type=click.Choice(_LAYOUTS), help="Only methods defined for this layout."
            ),
            click.option("--year", type=_YearsType(), metavar="YEARS", help="Only of 2018, 2018..2021 or 2020.. ."),
        )
    ):
        function = option(function)
    return function


def family(norm: Norm) -> str:
    """The folder of a method that normlab ships; the distribution of another's, or its file."""
    if norm.source.distribution != "normlab":
        return norm.source.distribution or Path(norm.source.file).name
    folder = Path(norm.source.file).parent.name
    return _BUILT_IN[1] if folder == _BUILT_IN[0] else folder


def depends_on_batch(norm: Norm) -> bool:
    """Whether what a method does to an example depends on the other ones."""
    return any(getattr(factory, "depends_on_batch", False) for factory in norm.factories)


def has_state(norm: Norm) -> bool:
    """Whether a method keeps running state, with its default parameters; False if it can't be made with those."""
    site: dict[str, dict[str, Any]] = {
        "layer": {"layout": norm.layer.layouts[0]} if norm.layer else {},
        "weight": {"out_channels": 4},
    }
    for way in ("layer", "weight"):
        factory = getattr(norm, way)
        if factory is not None:
            try:
                made = factory(**site[way])
            except Exception:  # noqa: BLE001, S112 - a stranger's constructor, which a list must survive
                continue
            if any(declared.state for declared in made.declared.values()):
                return True
    return False


def switched(choice: str | None) -> bool | None:
    """What a choice of yes and no says."""
    return None if choice is None else choice == "yes"
