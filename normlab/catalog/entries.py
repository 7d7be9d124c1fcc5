"""What plugins register besides norms: networks and data sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from normlab.norms.contract import Source


@dataclass(frozen=True)
class Model:
    """A network, as a plugin registers it.

    Attributes:
        name: Its name in specs.
        build: `build(sites, shape, classes, *, ...)` gives a Gluon block; its keyword-only arguments are the schema.
        summary: One line on what it is.
        paper: `arXiv:...`, `doi:...` or an address.
        source: Where it came from; filled in by the catalogue.
    """

    name: str
    build: Callable[..., Any]
    summary: str = ""
    paper: str = ""
    source: Source = field(default=Source(), compare=False)

    @property
    def factories(self) -> tuple[Callable[..., Any], ...]:
        """What its schema is read from."""
        return (self.build,)


@dataclass(frozen=True)
class DataSource:
    """A data set, as a plugin registers it.

    Attributes:
        name: Its name in specs.
        load: `load(*, ...)` gives a `normlab.datasets.Dataset`; its keyword-only arguments are the schema.
        summary: One line on what it is.
        source: Where it came from; filled in by the catalogue.
    """

    name: str
    load: Callable[..., Any]
    summary: str = ""
    source: Source = field(default=Source(), compare=False)

    @property
    def factories(self) -> tuple[Callable[..., Any], ...]:
        """What its schema is read from."""
        return (self.load,)
