"""The hooks of plugins, and the classes of networks and data sets that they register."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Callable, TypeVar

import pluggy

from normlab.norms.contract import Norm, Source


@dataclass(frozen=True)
class Model:
    """A network, as a plugin registers it.

    Attributes:
        name: Its name in specs.
        build: `build(sites, shape, classes, *, ...)` returns a Gluon block; its keyword-only arguments are the schema.
        summary: A one-line description.
        paper: `arXiv:...`, `doi:...` or an address.
        source: Where it comes from; set by the catalogue.
    """

    name: str
    build: Callable[..., Any]
    summary: str = ""
    paper: str = ""
    source: Source = field(default=Source(), compare=False)

    @property
    def factories(self) -> tuple[Callable[..., Any], ...]:
        """The callables whose signatures are the schema."""
        return (self.build,)


@dataclass(frozen=True)
class DataSource:
    """A data set, as a plugin registers it.

    Attributes:
        name: Its name in specs.
        load: `load(*, ...)` returns a `normlab.datasets.Dataset`; its keyword-only arguments are the schema.
        summary: A one-line description.
        source: Where it comes from; set by the catalogue.
    """

    name: str
    load: Callable[..., Any]
    summary: str = ""
    source: Source = field(default=Source(), compare=False)

    @property
    def factories(self) -> tuple[Callable[..., Any], ...]:
        """The callables whose signatures are the schema."""
        return (self.load,)


#: The version of the hooks. A plugin module can declare the version that it needs: `NORMLAB_HOOKS = 1`.
HOOKS_VERSION = 1

Function = TypeVar("Function", bound=Callable[..., Any])

_spec = pluggy.HookspecMarker("normlab")

#: Marks a function of a plugin as the implementation of the hook of its name.
hookimpl = pluggy.HookimplMarker("normlab")


@_spec
def normlab_norms() -> Iterable[Norm]:  # type: ignore[empty-body] # a specification has no body
    """Yield normalization methods."""


@_spec
def normlab_models() -> Iterable[Model]:  # type: ignore[empty-body] # a specification has no body
    """Yield networks that contain norms."""


@_spec
def normlab_datasets() -> Iterable[DataSource]:  # type: ignore[empty-body] # a specification has no body
    """Yield data sets."""
