"""Where a run is or would be stored, without training it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.catalog import Catalog, catalog
from normlab.experiment.parts import resolve, run_directory
from normlab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from normlab.spec import Spec


def directory_of(spec: Spec, out: str | Path) -> RunDirectory:
    """The directory that a run of this spec has, on the devices and with the threads of this process.

    Plugins and data are looked up once a process.

    Raises:
        SpecError: A part is unknown, a parameter unfit, a device absent.
        PluginError: A plugin that the spec needs can't be used.
        DataError: The data are absent or damaged.
    """
    from normlab.backend.devices import resolve_devices  # noqa: PLC0415 - MXNet, which a plan without runs does not need

    resolved = resolve(spec, known(spec.plugins))
    digest = _digest(spec.plugins, json.dumps(resolved.dataset.dump(), sort_keys=True))
    return run_directory(resolved, out, resolve_devices(spec.device), digest)


@lru_cache(maxsize=8)
def known(plugins: tuple[str, ...]) -> Catalog:
    """The catalogue with these plugin files; refuses those that can't be used.

    Raises:
        PluginError: One of them can't be used.
    """
    found = catalog(plugins)
    found.require_explicit()
    return found


@lru_cache(maxsize=8)
def _digest(plugins: tuple[str, ...], dataset: str) -> str:
    name_and_parameters = json.loads(dataset)
    entry = known(plugins).datasets.get(name_and_parameters.pop("name"))
    digest: str = entry.load(**name_and_parameters).digest
    return digest
