"""From a spec to its parts: each name looked up, each parameter checked against the part's own signature."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from pydantic import BaseModel, ValidationError

from normlab.backend.mxnet import threads
from normlab.catalog.signature import accepted, check, schema
from normlab.errors import SpecError, suggestion
from normlab.optimizers.registry import OPTIMIZERS
from normlab.spec import Part, Spec
from normlab.spec.problems import problems
from normlab.training.augmentation import AUGMENTATIONS
from normlab.training.losses import LOSSES
from normlab.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from normlab.catalog import Catalog

#: Settings of a spec that don't change what a run computes.
_NOT_IDENTITY = ("name", "description", "plugins", "device")


class Chosen(NamedTuple):
    """An entry of the catalogue with its parameters, defaults filled in."""

    entry: Any
    parameters: dict[str, Any]

    def made(self) -> Any:
        """What the entry makes of its parameters, where nothing else is needed to make it."""
        (factory,) = self.entry.factories
        return factory(**accepted(factory, self.parameters))


@dataclass(frozen=True)
class Parts:
    """What a spec is made of.

    Attributes:
        spec: The spec with the defaults of all parts written out.
        dataset: The data set's source.
        model: The network.
        norms: The norms that act together.
        loss: Makes the loss.
        optimizer: Makes the optimizer.
        schedule: Makes the schedule of the learning rate.
        augmentation: Make what is done to training examples, in order.
    """

    spec: Spec
    dataset: Chosen
    model: Chosen
    norms: tuple[Chosen, ...]
    loss: Chosen
    optimizer: Chosen
    schedule: Chosen
    augmentation: tuple[Chosen, ...]

    @property
    def label(self) -> str:
        """The norm in a word, e.g. `batch`."""
        return "+".join(chosen.entry.name for chosen in self.norms)

    def identity(self, device: str) -> str:
        """SHA-256 of everything that decides the bits of a run but the data themselves.

        Args:
            device: Kind and number of devices.
        """
        settings = {key: value for key, value in self.spec.dump().items() if key not in _NOT_IDENTITY}
        settings["training"].pop("checkpoint_every", None)  # when a run is stored changes nothing in it
        settings.update(device=device, threads=threads(), code=self._code())
        return sha256(json.dumps(settings, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def _code(self) -> dict[str, str]:
        """What wrote each part: the version of a distribution, or the contents of a file that is being worked on."""
        entries = [chosen.entry for chosen in (self.dataset, self.model, *self.norms)]
        return {entry.name: entry.source.version or _contents(entry.source.file) for entry in entries}


def _contents(file: str) -> str:
    return sha256(Path(file).read_bytes()).hexdigest() if file else ""


def resolve(spec: Spec, catalog: Catalog) -> Parts:
    """Look up the parts of a spec and check their parameters, all of them before complaining.

    Raises:
        SpecError: A name is unknown or a parameter unfit; one line each, with its place.
        PluginBroken: A name may belong to a plugin that can't be used.
    """
    resolver = _Resolver(spec)
    dataset = resolver.part(("dataset",), spec.dataset, catalog.datasets.get)
    model = resolver.part(("model",), spec.model, catalog.models.get)
    norms = [resolver.part(("norm", index), part, catalog.norms.get) for index, part in enumerate(spec.norm)]
    loss = resolver.part(("loss",), spec.loss, _named("loss", LOSSES))
    optimizer = resolver.part(("optimizer",), spec.optimizer, _named("optimizer", OPTIMIZERS))
    schedule = resolver.part(("schedule",), spec.schedule, _named("schedule", SCHEDULES))
    augmentation = [
        resolver.part(("augmentation", index), part, _named("augmentation", AUGMENTATIONS))
        for index, part in enumerate(spec.augmentation)
    ]
    resolver.once(("augmentation",), spec.augmentation)
    if resolver.lines:
        raise SpecError("\n".join(resolver.lines))
    filled = {
        "dataset": _part(dataset),
        "model": _part(model),
        "norm": tuple(_part(norm) for norm in norms),
        "loss": _part(loss),
        "optimizer": _part(optimizer),
        "schedule": _part(schedule),
        "augmentation": tuple(_part(transform) for transform in augmentation),
    }
    whole = spec.model_copy(update=filled)
    return Parts(whole, dataset, model, tuple(norms), loss, optimizer, schedule, tuple(augmentation))


class _Function(NamedTuple):
    """A loss, optimizer or the like: a function by its name."""

    name: str
    factories: tuple[Callable[..., Any], ...]


def _named(word: str, functions: Mapping[str, Callable[..., Any]]) -> Callable[[str], _Function]:
    def get(name: str) -> _Function:
        if name not in functions:
            raise SpecError(
                f"unknown {word} {name!r}{suggestion(name, functions)}; expected one of {', '.join(functions)}"
            )
        return _Function(name, (functions[name],))

    return get


class _Resolver:
    def __init__(self, spec: Spec) -> None:
        self._document = spec.document
        self.lines: list[str] = []

    def part(self, path: tuple[str | int, ...], part: Part, get: Callable[[str], Any]) -> Chosen:
        try:
            entry = get(part.name)
        except SpecError as error:
            written = self._document.resolve((*path, "name"))
            self.lines.append(f"{self._document.place(written)}: {'.'.join(map(str, written))}: {error}")
            return Chosen(None, {})
        try:
            return Chosen(entry, check(entry.factories, part.parameters))
        except ValidationError as error:
            json_schema = schema(entry.factories).model_json_schema()
            self.lines += problems(error, self._document, path, json_schema)
            return Chosen(entry, {})

    def once(self, path: tuple[str | int, ...], parts: Sequence[Part]) -> None:
        names = [part.name for part in parts]
        for index, name in enumerate(names):
            if name in names[:index]:
                written = self._document.resolve((*path, index))
                place = self._document.place(written)
                self.lines.append(f"{place}: {'.'.join(map(str, written))}: {name!r} twice; expected each once")


def _part(chosen: Chosen) -> Part:
    return Part(name=chosen.entry.name, parameters=_plain(chosen.parameters))


def _plain(value: Any) -> Any:
    """Parameters as a spec file has them."""
    if isinstance(value, Part):
        return {"name": value.name, **_plain(value.parameters)}
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in value}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
