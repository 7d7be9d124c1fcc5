"""Specs: what an experiment is, as a file says it and as normlab checks it.

`load_spec("configs/mnist_bn.yaml")` gives a `Spec`, or one `SpecError` that tells every mistake with its place.

Names are imported when they are first used: reading a document needs none of what checks it, which takes 0.2 s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normlab.spec.document import Document
    from normlab.spec.file import load_spec, parse_spec
    from normlab.spec.json_schema import json_schema
    from normlab.spec.part import Part
    from normlab.spec.place import Place
    from normlab.spec.schema import Evaluation, Spec, Training

__all__ = ["Document", "Evaluation", "Part", "Place", "Spec", "Training", "json_schema", "load_spec", "parse_spec"]

_HOMES = {
    "Document": "document",
    "Evaluation": "schema",
    "Part": "part",
    "Place": "place",
    "Spec": "schema",
    "Training": "schema",
    "json_schema": "json_schema",
    "load_spec": "file",
    "parse_spec": "file",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
