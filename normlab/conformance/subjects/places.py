"""Where a method is looked at, and the method made for each place with its default parameters."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from normlab.catalog import signature
from normlab.errors import SpecError
from normlab.norms.contract import Norm
from normlab.norms.ways import WAYS

#: The ways whose methods compute inside a network, in a block with parameters of its own.
HOSTED = ("layer", "weight", "residual")
#: The ways whose methods act on each parameter, before or after an optimizer step.
STEPPING = ("gradient", "project")
#: Not a way: the method as a whole, as it is registered.
WHOLE = "method"

#: Numbers of channels to try; the first is taken that the method does not refuse.
_CHANNELS = (8, 32, 64)
_LAYOUTS = {"weight": ("dense", "conv"), "residual": ("NCHW",)}


class Place(NamedTuple):
    """Where a check looks at a method.

    Attributes:
        way: One of the six ways, or `method` for the method as a whole.
        layout: The site's layout; for weights `dense` or `conv`; "" where there are not several.
    """

    way: str
    layout: str = ""

    def __str__(self) -> str:
        return f"{self.way} {self.layout}".rstrip()


def places(norm: Norm) -> list[Place]:
    """All places at which a method can be looked at: the whole, and for each way the layouts that it claims."""
    found = [Place(WHOLE)]
    for way in WAYS:
        factory = getattr(norm, way)
        if factory is not None:
            layouts = factory.layouts if way == "layer" else _LAYOUTS.get(way, ("",))
            found += [Place(way, layout) for layout in layouts]
    return found


def defaults(norm: Norm) -> dict[str, Any]:
    """The parameters of a method as a spec has them that gives none.

    Raises:
        pydantic.ValidationError: A parameter has no default.
        PluginBroken: The signature is no schema.
    """
    return signature.check(norm.factories, {})


def made(norm: Norm, place: Place, **site: Any) -> Any:
    """The method for a place, with its default parameters.

    Args:
        norm: The method.
        place: Where it is to stand.
        **site: What the site tells besides its layout.
    """
    factory = getattr(norm, place.way)
    if place.way == "layer":
        site = {"layout": place.layout, **site}
    return factory(**{**signature.accepted(factory, defaults(norm)), **site})


def channels(norm: Norm, place: Place) -> int:
    """A small number of channels that the method takes.

    Raises:
        SpecError: It takes none of those tried; the message is the method's own.
    """
    *first, last = _CHANNELS
    for count in first:
        with suppress(SpecError):
            prepared(norm, place, count)
            return count
    prepared(norm, place, last)
    return last


def prepared(norm: Norm, place: Place, count: int, **site: Any) -> Any:
    """The method for a place, made and told the number of channels."""
    method = made(norm, place, **{"out_channels" if place.way == "weight" else "in_channels": count}, **site)
    if place.way == "layer":
        method.prepare()
    return method
