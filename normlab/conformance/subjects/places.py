"""The places at which a method is checked, and the method built for each place with its default parameters."""

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

#: Numbers of channels to try, in this order.
_CHANNELS = (8, 32, 64)
_LAYOUTS = {"weight": ("dense", "conv"), "residual": ("NCHW",)}


class Place(NamedTuple):
    """A place at which a method is checked.

    Attributes:
        way: One of the six ways, or `method` for the method as a whole.
        layout: The layout of the site; `dense` or `conv` for weights; "" where there is only one.
    """

    way: str
    layout: str = ""

    def __str__(self) -> str:
        return f"{self.way} {self.layout}".rstrip()


def find_places(norm: Norm) -> list[Place]:
    """Return all places of a method: the whole, and for each of its ways the layouts that it supports."""
    found = [Place(WHOLE)]
    for way in WAYS:
        factory = getattr(norm, way)
        if factory is not None:
            layouts = factory.layouts if way == "layer" else _LAYOUTS.get(way, ("",))
            found += [Place(way, layout) for layout in layouts]
    return found


def default_parameters(norm: Norm) -> dict[str, Any]:
    """Return the parameters that a method has in a spec that gives none.

    Raises:
        pydantic.ValidationError: A parameter has no default.
        PluginBroken: The signature cannot be turned into a schema.
    """
    return signature.check(norm.factories, {})


def build_at(norm: Norm, place: Place, **site: Any) -> Any:
    """Build the method for a place with its default parameters.

    Args:
        norm: The method.
        place: The place.
        **site: Arguments of the site other than its layout.
    """
    factory = getattr(norm, place.way)
    if place.way == "layer":
        site = {"layout": place.layout, **site}
    return factory(**{**signature.accepted(factory, default_parameters(norm)), **site})


def find_channels(norm: Norm, place: Place) -> int:
    """Return the smallest number of channels, of those tried, that the method accepts.

    Raises:
        SpecError: It accepts none of them; the message is the method's own.
    """
    *first, last = _CHANNELS
    for count in first:
        with suppress(SpecError):
            build_with_channels(norm, place, count)
            return count
    build_with_channels(norm, place, last)
    return last


def build_with_channels(norm: Norm, place: Place, count: int) -> Any:
    """Build the method for a place and a number of channels, and prepare it if it is a layer."""
    method = build_at(norm, place, **{"out_channels" if place.way == "weight" else "in_channels": count})
    if place.way == "layer":
        method.prepare()
    return method
