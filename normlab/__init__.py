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

from normlab.importing import FormerNames, on_first_use
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.api import compare, norm, run
    from normlab.backend.graph import Graph
    from normlab.backend.initializers import Initializer
    from normlab.catalog.hookspecs import DataSource, Model, hookimpl
    from normlab.datasets.base import Dataset, Split
    from normlab.errors import NormlabError, SpecError
    from normlab.experiment.observer import Observer
    from normlab.norms.batch import BatchNorm
    from normlab.norms.batch_layer import BatchLayer
    from normlab.norms.contract import Norm
    from normlab.norms.ways import NormGradient, NormInitialize, NormLayer, NormProject, NormResidual, NormWeight
    from normlab.runs.history import History
    from normlab.spec import Spec, load_spec

__all__ = [
    "BatchLayer",
    "BatchNorm",
    "DataSource",
    "Dataset",
    "Graph",
    "History",
    "Initializer",
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
    "SpecError",
    "Split",
    "__version__",
    "compare",
    "hookimpl",
    "load_spec",
    "norm",
    "run",
]

#: For each name that is imported on first use, the module that defines it.
_HOMES = {
    "BatchLayer": "normlab.norms.batch_layer",
    "BatchNorm": "normlab.norms.batch",
    "DataSource": "normlab.catalog.hookspecs",
    "Dataset": "normlab.datasets.base",
    "Graph": "normlab.backend.graph",
    "History": "normlab.runs.history",
    "Initializer": "normlab.backend.initializers",
    "Model": "normlab.catalog.hookspecs",
    "Norm": "normlab.norms.contract",
    "NormGradient": "normlab.norms.ways",
    "NormInitialize": "normlab.norms.ways",
    "NormLayer": "normlab.norms.ways",
    "NormProject": "normlab.norms.ways",
    "NormResidual": "normlab.norms.ways",
    "NormWeight": "normlab.norms.ways",
    "NormlabError": "normlab.errors",
    "Observer": "normlab.experiment.observer",
    "Spec": "normlab.spec",
    "SpecError": "normlab.errors",
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
        # importing the module by its former name `normlab.norm` must not replace the function of that name
        if not (name == "norm" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
sys.meta_path.append(FormerNames())
