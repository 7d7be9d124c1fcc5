"""Discovery of a hundred plugins, and of none, in separate processes."""

from __future__ import annotations

import json
import subprocess
import sys

from cli_tools import ROOT, environment
from plugin_support import distribution

PLUGINS = 100

#: An ordinary method, with two dozen lines and three parameters.
TEXT = '''
"""A method."""
from typing import Optional
from normlab import Norm, NormLayer, hookimpl

class Method(NormLayer):
    """Scale.

    Args:
        groups: Number of groups.
        epsilon: Added to the variance.
        momentum: What is kept.
    """

    def __init__(self, groups: int = 32, epsilon: float = 1e-5, momentum: Optional[float] = None, **site):
        super().__init__(**site)

    def hybrid_forward(self, F, x):
        return x

@hookimpl
def normlab_norms():
    yield Norm("NAME", layer=Method, formula="y = x", authors="Doe", venue="X", year=2020, paper="arXiv:0000.00000")
'''

PROGRAM = """
import json, sys, time
import normlab.catalog.registry
begun = time.process_time()
found = normlab.catalog.registry.catalog()
took = time.process_time() - begun
loaded = [name for name in ("mxnet", "gluoncv") if name in sys.modules]
print(json.dumps([took * 1000, len(found.norms.entries), found.warnings, loaded]))
"""


def discovery(*paths):
    """Return milliseconds, number of norms, warnings, and loaded libraries that should not be loaded."""
    path = ":".join(map(str, (ROOT, *paths)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment(PYTHONPATH=path), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_hundred_plugins_are_found_without_loading_mxnet(tmp_path):
    for number in range(PLUGINS):
        distribution(tmp_path, f"dist-{number}", {f"norm_{number}": TEXT.replace("NAME", f"norm_{number}")})
    before, after = discovery(), discovery(tmp_path)
    assert after[1:] == [before[1] + PLUGINS, before[2], []]
