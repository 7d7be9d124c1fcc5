"""Resolve a spec: look up each part by name, and validate its parameters against the part's signature."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Callable, NamedTuple

from pydantic import ValidationError

from normlab.backend.mxnet import threads
from normlab.catalog import Catalog
from normlab.catalog.signature import check, schema
from normlab.errors import SpecError, suggestion
from normlab.optimizers import OPTIMIZERS
from normlab.runs.directory import RunDirectory
from normlab.spec import Part, Spec
from normlab.spec.problems import problems
from normlab.training.augmentation import AUGMENTATIONS
from normlab.training.losses import LOSSES
from normlab.training.schedules import SCHEDULES

#: Keys of a spec that do not change what a run computes.
_NOT_IDENTITY = ("name", "description", "plugins", "device")


class Entry(NamedTuple):
    """A loss, optimizer, schedule or augmentation: a callable by name.

    Attributes:
        name: Its name in specs.
        factories: The callable; its signature is the schema of the parameters.
    """

    name: str
    factories: tuple[Callable[..., Any], ...]


def resolve(spec: Spec, catalog: Catalog) -> Spec:
    """Return the spec with all parts resolved: each part has its entry, and its parameters include the defaults.

    Raises:
        SpecError: Names are unknown or parameters invalid. The message lists all mistakes, one per line with its place.
        PluginBroken: An unknown name may belong to a plugin that can't be used.
    """
    resolver = _Resolver(spec)
    augmentation = _lookup("augmentation", AUGMENTATIONS)
    parts = {
        "dataset": resolver.resolve(("dataset",), spec.dataset, catalog.datasets.get),
        "model": resolver.resolve(("model",), spec.model, catalog.models.get),
        "norm": tuple(resolver.resolve(("norm", i), part, catalog.norms.get) for i, part in enumerate(spec.norm)),
        "loss": resolver.resolve(("loss",), spec.loss, _lookup("loss", LOSSES)),
        "optimizer": resolver.resolve(("optimizer",), spec.optimizer, _lookup("optimizer", OPTIMIZERS)),
        "schedule": resolver.resolve(("schedule",), spec.schedule, _lookup("schedule", SCHEDULES)),
        "augmentation": tuple(
            resolver.resolve(("augmentation", i), part, augmentation) for i, part in enumerate(spec.augmentation)
        ),
    }
    resolver.check_unique(("augmentation",), spec.augmentation)
    if resolver.lines:
        raise SpecError("\n".join(resolver.lines))
    return spec.model_copy(update=parts)


def catalog_parts(spec: Spec) -> tuple[Part, ...]:
    """Return the parts of a resolved spec that plugins can provide: data set, model and norms."""
    return (spec.dataset, spec.model, *spec.norm)


def identity(spec: Spec, where: str) -> str:
    """Return the SHA-256 of everything that determines a run's result to the bit.

    Args:
        spec: A resolved spec.
        where: Kind and number of devices, and the digest of the data.
    """
    settings = {key: value for key, value in spec.dump().items() if key not in _NOT_IDENTITY}
    settings["training"].pop("checkpoint_every", None)  # checkpoints do not change the result
    code = {part.name: part.entry.source.version or _digest(part.entry.source.file) for part in catalog_parts(spec)}
    settings.update(device=where, threads=threads(), code=code)
    return sha256(json.dumps(settings, sort_keys=True, allow_nan=False).encode()).hexdigest()


def run_directory(spec: Spec, out: str | Path, devices: Sequence[Any], digest: str) -> RunDirectory:
    """Return the directory of the run of a resolved spec.

    Args:
        spec: A resolved spec.
        out: The folder of all run directories.
        devices: MXNet contexts; the result depends on their kinds and number.
        digest: SHA-256 of the data.
    """
    kinds = "+".join(device.device_type for device in devices)
    return RunDirectory(out, spec.name, spec.label, spec.seed, identity(spec, f"{kinds} {digest}"))


def _digest(file: str) -> str:
    """Return the SHA-256 of a plugin file, which identifies a plugin without a version."""
    return sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _lookup(kind: str, functions: Mapping[str, Callable[..., Any]]) -> Callable[[str], Entry]:
    def get(name: str) -> Entry:
        if name not in functions:
            raise SpecError(
                f"unknown {kind} {name!r}{suggestion(name, functions)}; expected one of {', '.join(functions)}"
            )
        return Entry(name, (functions[name],))

    return get


class _Resolver:
    """Resolves parts one by one, and collects one line for each mistake."""

    def __init__(self, spec: Spec) -> None:
        self._document = spec.document
        self.lines: list[str] = []

    def resolve(self, path: tuple[str | int, ...], part: Part, get: Callable[[str], Any]) -> Part:
        try:
            entry = get(part.name)
        except SpecError as error:
            self._report((*path, "name"), str(error))
            return part
        try:
            return Part.resolved(entry, check(entry.factories, part.parameters))
        except ValidationError as error:
            self.lines += problems(error, self._document, path, schema(entry.factories).model_json_schema())
            return part

    def check_unique(self, path: tuple[str | int, ...], parts: Sequence[Part]) -> None:
        names = [part.name for part in parts]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._report((*path, index), f"{name!r} is listed twice; expected it once")

    def _report(self, path: tuple[str | int, ...], message: str) -> None:
        found = self._document.resolve(path)
        self.lines.append(f"{self._document.place(found)}: {'.'.join(map(str, found))}: {message}")
