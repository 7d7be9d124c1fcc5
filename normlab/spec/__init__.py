"""Specs: read the YAML file of an experiment and validate it.

`load_spec("configs/mnist_bn.yaml")` returns a `Spec`, or raises one `SpecError` that reports every mistake with its
position in the file.

Names are imported on first use, because a document can be read without pydantic, which takes 0.2 s to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.importing import on_first_use

if TYPE_CHECKING:
    from normlab.spec.document import Document
    from normlab.spec.json_schema import json_schema
    from normlab.spec.node import Place
    from normlab.spec.part import Part
    from normlab.spec.reader import load_spec, parse_spec
    from normlab.spec.schema import Evaluation, Spec, Training

__all__ = ["Document", "Evaluation", "Part", "Place", "Spec", "Training", "json_schema", "load_spec", "parse_spec"]

_HOMES = {
    "Document": "normlab.spec.document",
    "Evaluation": "normlab.spec.schema",
    "Part": "normlab.spec.part",
    "Place": "normlab.spec.node",
    "Spec": "normlab.spec.schema",
    "Training": "normlab.spec.schema",
    "json_schema": "normlab.spec.json_schema",
    "load_spec": "normlab.spec.reader",
    "parse_spec": "normlab.spec.reader",
}


__getattr__ = on_first_use(__name__, _HOMES)
