"""What importing a plugin costs, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import NamedTuple

#: What importing a method's file may cost.
MILLISECONDS = 50

#: A plugin may use these; they are imported before the clock starts.
_PROGRAM = """
import importlib, importlib.util, json, sys, time
import numpy, normlab.norm, normlab.catalog.hookspecs, normlab.catalog.signature, normlab.ops.channelwise
from pydantic import BaseModel, Field, PositiveFloat
name, file = sys.argv[1:]
before = time.process_time()
if name:
    importlib.import_module(name)
else:
    spec = importlib.util.spec_from_file_location("normlab_plugin_file_timed", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
after = time.process_time()
print("\\n" + json.dumps([(after - before) * 1000, "mxnet" in sys.modules]))
"""
_ATTEMPTS = 3


class ImportCost(NamedTuple):
    """What an import costs.

    Attributes:
        milliseconds: Time of the processor, the least of some attempts.
        loads_mxnet: Whether MXNet is imported by it.
    """

    milliseconds: float
    loads_mxnet: bool


@cache
def import_cost(name: str, file: str) -> ImportCost:
    """Import a module, or a file if it has no name, and see what that costs.

    Args:
        name: Name of the module, or "".
        file: The file.

    Raises:
        RuntimeError: It does not import.
    """
    least = ImportCost(float("inf"), loads_mxnet=False)
    for _ in range(_ATTEMPTS):
        done = subprocess.run(  # noqa: S603 - it is this interpreter
            [sys.executable, "-c", _PROGRAM, name, file],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"does not import in a new process: {done.stderr.strip().splitlines()[-1]}")
        milliseconds, loads = json.loads(done.stdout.splitlines()[-1])
        least = min(least, ImportCost(milliseconds, loads))
        if least.milliseconds < MILLISECONDS or loads:
            break
    return least
