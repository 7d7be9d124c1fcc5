"""Measure what importing a plugin costs, in a process of its own."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

#: Milliseconds that importing a method's file may cost.
MILLISECONDS = 50

#: Modules that every plugin may use are imported before the time is taken.
_PROGRAM = """
import importlib, importlib.util, json, sys, time
import numpy, normlab.norms.contract, normlab.catalog.hookspecs, normlab.catalog.signature, normlab.ops
from pydantic import BaseModel, Field, PositiveFloat
costs = []
for name, file in json.loads(sys.argv[1]):
    before = time.process_time()
    if name:
        importlib.import_module(name)
    else:
        spec = importlib.util.spec_from_file_location("normlab_plugin_file_timed", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    costs.append([(time.process_time() - before) * 1000, "mxnet" in sys.modules])
print("\\n" + json.dumps(costs))
"""
_ATTEMPTS = 3
#: The modules of the shipped methods, which are measured together, since a process for each takes half a second.
_BUILT_IN, _PLUGINS = ("normlab.norms.batch", "normlab.norms.none"), "normlab_plugins"


class ImportCost(NamedTuple):
    """What an import costs.

    Attributes:
        milliseconds: Processor time, the least of several attempts.
        loads_mxnet: Whether MXNet is loaded after it.
    """

    milliseconds: float
    loads_mxnet: bool

    @property
    def is_low(self) -> bool:
        """Whether it is within the limit, without MXNet."""
        return not self.loads_mxnet and self.milliseconds < MILLISECONDS


@cache
def import_cost(name: str, file: str) -> ImportCost:
    """Import a module, or a file if it has no name, and return what that costs.

    Args:
        name: Name of the module, or "".
        file: The file.

    Raises:
        RuntimeError: It does not import.
    """
    if name in _BUILT_IN or name.startswith(f"{_PLUGINS}."):
        cost = _shipped().get(name, _HIGH)
        if cost.is_low:
            return cost
    least = _HIGH
    for _ in range(_ATTEMPTS):
        (cost,) = _measure([(name, file)])
        least = min(least, cost)
        if cost.is_low or cost.loads_mxnet:
            break
    return least


_HIGH = ImportCost(float("inf"), loads_mxnet=False)


@cache
def _shipped() -> dict[str, ImportCost]:
    """Measure all shipped modules in one process.

    Once one of them has loaded MXNet, all that follow count as loading it; they are then measured again, alone.
    """
    spec = find_spec(_PLUGINS)
    folders = spec.submodule_search_locations if spec else None
    names = [*_BUILT_IN, *(module.name for module in pkgutil.walk_packages(folders, f"{_PLUGINS}."))]
    return dict(zip(names, _measure([(name, "") for name in names])))


def _measure(modules: Sequence[tuple[str, str]]) -> list[ImportCost]:
    done = subprocess.run(  # noqa: S603 - it is this interpreter
        [sys.executable, "-c", _PROGRAM, json.dumps(modules)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"does not import in a new process: {done.stderr.strip().splitlines()[-1]}")
    return [ImportCost(*cost) for cost in json.loads(done.stdout.splitlines()[-1])]
