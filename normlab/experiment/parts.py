"""Resolve a spec: look up each part by name, and validate its parameters against the part's own signature."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from pydantic import ValidationError

from normlab.backend.mxnet import threads
from normlab.catalog.signature import check, schema
from normlab.errors import SpecError, suggestion
from normlab.optimizers import OPTIMIZERS
from normlab.runs.directory import RunDirectory
from normlab.spec import Part, Spec
from normlab.spec.problems import problems
from normlab.training.augmentation import AUGMENTATIONS
from normlab.training.losses import LOSSES
from normlab.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from normlab.catalog import Catalog

#: Settings of a spec that do not change what a run computes.
_NOT_IDENTITY = ("name", "description", "plugins", "device")


class Entry(NamedTuple):
    """A loss, optimizer, schedule or augmentation: a callable by name.

    Attributes:
        name: Its name in specs.
        factories: The callable, whose signature is the schema of its parameters.
    """

    name: str
    factories: tuple[Callable[..., Any], ...]


def resolve(spec: Spec, catalog: Catalog) -> Spec:
    """Return the spec with its parts resolved: each has its entry, and all parameters with defaults filled in.

    All parts are validated before anything is raised.

    Raises:
        SpecError: A name is unknown or a parameter invalid; one line each, with its place.
        PluginBroken: A name may belong to a plugin that can't be used.
    """
    resolver = _Resolver(spec)
    augmentation = _lookup("augmentation", AUGMENTATIONS)
    parts = {
        "dataset": resolver.part(("dataset",), spec.dataset, catalog.datasets.get),
        "model": resolver.part(("model",), spec.model, catalog.models.get),
        "norm": tuple(resolver.part(("norm", i), part, catalog.norms.get) for i, part in enumerate(spec.norm)),
        "loss": resolver.part(("loss",), spec.loss, _lookup("loss", LOSSES)),
        "optimizer": resolver.part(("optimizer",), spec.optimizer, _lookup("optimizer", OPTIMIZERS)),
        "schedule": resolver.part(("schedule",), spec.schedule, _lookup("schedule", SCHEDULES)),
        "augmentation": tuple(
            resolver.part(("augmentation", i), part, augmentation) for i, part in enumerate(spec.augmentation)
        ),
    }
    resolver.refuse_repeated(("augmentation",), spec.augmentation)
    if resolver.lines:
        raise SpecError("\n".join(resolver.lines))
    return spec.model_copy(update=parts)


def catalog_parts(spec: Spec) -> tuple[Part, ...]:
    """Return the parts of a resolved spec that plugins bring: data set, network and norms."""
    return (spec.dataset, spec.model, *spec.norm)


def identity(spec: Spec, where: str) -> str:
    """Return the SHA-256 of everything that decides the bits of a run.

    Args:
        spec: A resolved spec.
        where: Kind and number of devices, and the digest of the data.
    """
    settings = {key: value for key, value in spec.dump().items() if key not in _NOT_IDENTITY}
    settings["training"].pop("checkpoint_every", None)  # when a run is stored changes nothing in it
    code = {part.name: part.entry.source.version or _digest(part.entry.source.file) for part in catalog_parts(spec)}
    settings.update(device=where, threads=threads(), code=code)
    return sha256(json.dumps(settings, sort_keys=True, allow_nan=False).encode()).hexdigest()


def run_directory(spec: Spec, out: str | Path, devices: Sequence[Any], digest: str) -> RunDirectory:
    """Return the directory of the run of a resolved spec.

    Args:
        spec: A resolved spec.
        out: Where run directories go.
        devices: MXNet contexts; their kinds and number decide the bits.
        digest: SHA-256 of the data.
    """
    kinds = "+".join(device.device_type for device in devices)
    return RunDirectory(out, spec.name, spec.label, spec.seed, identity(spec, f"{kinds} {digest}"))


def _digest(file: str) -> str:
    """Return the SHA-256 of a plugin file that is being worked on, so without a version."""
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
    """Resolves parts one by one and collects what is wrong with them, a line each."""

    def __init__(self, spec: Spec) -> None:
        self._document = spec.document
        self.lines: list[str] = []

    def part(self, path: tuple[str | int, ...], part: Part, get: Callable[[str], Any]) -> Part:
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

    def refuse_repeated(self, path: tuple[str | int, ...], parts: Sequence[Part]) -> None:
        names = [part.name for part in parts]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._report((*path, index), f"{name!r} twice; expected each once")

    def _report(self, path: tuple[str | int, ...], message: str) -> None:
        written = self._document.resolve(path)
        self.lines.append(f"{self._document.place(written)}: {'.'.join(map(str, written))}: {message}")
