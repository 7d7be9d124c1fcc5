"""The hooks through which everything enters normlab: its own parts, shipped plugins and a stranger's package alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from normlab.catalog.entries import DataSource, Model
    from normlab.norms.contract import Norm

#: The version of the hooks. A plugin module may state the one that it needs as `NORMLAB_HOOKS = 1`.
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
    """Yield networks to put norms into."""


@_spec
def normlab_datasets() -> Iterable[DataSource]:  # type: ignore[empty-body] # a specification has no body
    """Yield data sets."""
