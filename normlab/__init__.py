"""The lab bench for normalization in neural networks: fair, seeded, paired experiments on MXNet Gluon.

    import normlab

    spec = normlab.load_spec("configs/mnist_bn.yaml", ["training.steps=200"], seed=1)
    history = normlab.run(spec)
    print(history.accuracy("test")[-1])

Names are imported when they are first used, so that `import normlab` costs next to nothing and loads no MXNet.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from normlab.lazy_names import on_first_use
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.api import compare, norm, run
    from normlab.catalog.entries import DataSource, Model
    from normlab.catalog.hookspecs import hookimpl
    from normlab.datasets.base import Dataset, Split
    from normlab.errors import NormlabError
    from normlab.history import History
    from normlab.norm import Norm, NormLayer
    from normlab.norm_ways import NormGradient, NormInitialize, NormProject, NormResidual, NormWeight
    from normlab.observer import Observer
    from normlab.spec import Spec, load_spec

__all__ = [
    "DataSource",
    "Dataset",
    "History",
    "Model",
    "Norm",
    "NormGradient",
    "NormInitialize",
    "NormLayer",
    "NormProject",
    "NormResidual",
    "NormWeight",
    "NormlabError",
    "Observer",
    "Spec",
    "Split",
    "__version__",
    "compare",
    "hookimpl",
    "load_spec",
    "norm",
    "run",
]

#: Where the names are that are imported on first use.
_HOMES = {
    "DataSource": "normlab.catalog.entries",
    "Dataset": "normlab.datasets.base",
    "History": "normlab.history",
    "Model": "normlab.catalog.entries",
    "Norm": "normlab.norm",
    "NormGradient": "normlab.norm_ways",
    "NormInitialize": "normlab.norm_ways",
    "NormLayer": "normlab.norm",
    "NormProject": "normlab.norm_ways",
    "NormResidual": "normlab.norm_ways",
    "NormWeight": "normlab.norm_ways",
    "NormlabError": "normlab.errors",
    "Observer": "normlab.observer",
    "Spec": "normlab.spec",
    "Split": "normlab.datasets.base",
    "compare": "normlab.api",
    "hookimpl": "normlab.catalog.hookspecs",
    "load_spec": "normlab.spec",
    "norm": "normlab.api",
    "run": "normlab.api",
}


__getattr__ = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the module `normlab.norm` would put it in the place of the function of that name.
        if not (name == "norm" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
