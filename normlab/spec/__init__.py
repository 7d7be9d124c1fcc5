"""Specs: what an experiment is, as a file says it and as normlab checks it.

`load_spec("configs/mnist_bn.yaml")` gives a `Spec`, or one `SpecError` that tells every mistake with its place.
"""

from __future__ import annotations

from normlab.spec.document import Document
from normlab.spec.file import load_spec, parse_spec
from normlab.spec.json_schema import json_schema
from normlab.spec.part import Part
from normlab.spec.place import Place
from normlab.spec.schema import Evaluation, Spec, Training

__all__ = ["Document", "Evaluation", "Part", "Place", "Spec", "Training", "json_schema", "load_spec", "parse_spec"]
