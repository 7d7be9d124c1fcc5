"""Import the names of a package on first use, and modules by the names they had before version 0.2."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any, Callable

#: For each former module that plugins import from, the module to import from today.
FORMER_NAMES = {
    "normlab.batch_layer": "normlab",
    "normlab.channel_kernels": "normlab.ops",
    "normlab.chunk_kernels": "normlab.ops",
    "normlab.example_kernels": "normlab.ops",
    "normlab.kernels": "normlab.ops",
    "normlab.moment_kernels": "normlab.ops",
    "normlab.norm": "normlab",
    "normlab.norm_state": "normlab.ops",
    "normlab.norm_ways": "normlab",
    "normlab.own_backward": "normlab.ops",
    "normlab.row_kernels": "normlab.ops",
    "normlab.whitening_kernels": "normlab.ops",
}
#: Functions of those modules that were renamed.
_FORMER_FUNCTIONS = {
    "centred": "center_channels",
    "examples": "number_examples",
    "for_examples": "repeat_for_examples",
    "moved": "moving_average",
    "multiplied": "multiply_groups",
    "own_backward": "apply_custom_gradient",
    "shaped_back": "reshape_back",
    "spread": "broadcast_plane",
    "strided": "to_strided",
    "strided_back": "from_strided",
    "unbiased": "unbiased_variance",
}


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package that imports its names when they are first used.

    Args:
        package: Name of the package.
        homes: For each name, the module that defines it.

    Returns:
        A function that takes a name and raises AttributeError if the package does not have it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get


class FormerNames(MetaPathFinder, Loader):
    """Import a module by its former name, with a DeprecationWarning that gives the new name."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Return a module spec for a former name, or None for any other name."""
        return spec_from_loader(fullname, self) if fullname in FORMER_NAMES else None

    def exec_module(self, module: ModuleType) -> None:
        """Look up names in the module that defines them today."""
        new = FORMER_NAMES[module.__name__]
        warnings.warn(f"import from {new}, not from {module.__name__}", DeprecationWarning, stacklevel=2)

        def get(name: str) -> Any:
            return getattr(import_module(new), _FORMER_FUNCTIONS.get(name, name))

        module.__getattr__ = get  # type: ignore[method-assign]
