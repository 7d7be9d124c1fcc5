"""The typed schema of a spec: every setting with its type, bounds, default and what it means."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

from normlab.spec.document import Document
from normlab.spec.part import STRICT, AsTuple, OnePart, Part, SeveralParts, matching, mistake
from normlab.spec.values import checked_text, to_yaml
from normlab.spec.words import shown

SPEC_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""The form of a spec's name."""
DEVICE = r"^(auto|cpu|gpu|(cpu|gpu):(0|[1-9][0-9]?))$"
"""The form of a device."""

_Split = Literal["train", "validation", "test"]
_Count = Optional[PositiveInt]
_Amount = Optional[PositiveFloat]
_AtOnce = Union[PositiveInt, Literal["all"]]
_Origin = Optional[Document]
_Text = Annotated[str, AfterValidator(checked_text)]


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise mistake("expected at least one, got an empty list")
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise mistake(f"{shown(again[0])} twice; expected each once")
    return values


def _some_norm(norms: tuple[Part, ...]) -> tuple[Part, ...]:
    if not norms:
        raise mistake("expected at least one, got an empty list; write none for no norm")
    return norms


def _examples_at_once(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not is_count and value != "all":
        raise mistake(f"expected a whole number above 0 or 'all', got {shown(value)}")
    return value


def _devices_from_file(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _used_together(devices: tuple[str, ...]) -> tuple[str, ...]:
    _distinct(tuple(device if ":" in device else f"{device}:0" for device in devices))
    if "auto" in devices and len(devices) > 1:
        raise mistake("'auto' beside other devices; expected it alone, or the devices without it")
    return devices


_Device = Annotated[
    str,
    matching(DEVICE, "auto, cpu, cpu:N, gpu or gpu:N"),
    Field(json_schema_extra={"pattern": DEVICE}),
]


class Training(BaseModel):
    """How long a run trains, and on how much at once."""

    model_config = STRICT

    steps: _Count = Field(default=None, description="Optimizer steps in all; give this or epochs.")
    epochs: _Amount = Field(
        default=None, description="Passes over the training split in all, e.g. 2.5; give this or steps."
    )
    batch_size: PositiveInt = Field(default=100, description="Examples in each step, over all devices.")
    checkpoint_every: _Count = Field(
        default=None, description="Steps between checkpoints; null leaves the choice to normlab."
    )

    @model_validator(mode="after")
    def _one_budget(self) -> Training:
        if (self.steps is None) == (self.epochs is None):
            got = "got neither" if self.steps is None else "got both"
            raise mistake(f"expected either steps or epochs, {got}; write e.g. steps: 1000")
        return self


class Evaluation(BaseModel):
    """When and on what accuracy is measured."""

    model_config = STRICT

    every: PositiveInt = Field(default=100, description="Steps between evaluations; the last step is evaluated too.")
    splits: Annotated[tuple[_Split, ...], AsTuple, AfterValidator(_distinct)] = Field(
        default=("train", "test"), description="Which splits: train, validation, test."
    )
    batch_size: Annotated[_AtOnce, BeforeValidator(_examples_at_once)] = Field(
        default=1000, description="Examples evaluated at once; 'all' takes a whole split."
    )


class Spec(BaseModel):
    """One experiment: dataset, model, norm, optimizer, schedule, budget, evaluation, seed, device."""

    model_config = STRICT

    name: Annotated[str, matching(SPEC_NAME, "a name of letters, digits, '_', '-' and '.', at most 64")] = Field(
        description="What the experiment is called; by default what its file is called.",
        json_schema_extra={"pattern": SPEC_NAME},
    )
    description: _Text = Field(default="", description="What it is for, in a sentence.")
    dataset: OnePart = Field(description="Where the examples come from.", examples=["mnist"])
    model: OnePart = Field(description="The network.", examples=["mlp"])
    norm: Annotated[SeveralParts, AfterValidator(_some_norm)] = Field(
        default=(Part(name="none"),), description="The normalization method, or a list of methods that act together."
    )
    loss: OnePart = Field(default=Part(name="softmax_cross_entropy"), description="What training makes small.")
    optimizer: OnePart = Field(description="How a step changes the parameters.", examples=["sgd"])
    schedule: OnePart = Field(default=Part(name="constant"), description="How the learning rate changes.")
    augmentation: SeveralParts = Field(default=(), description="What is done to training examples, in this order.")
    training: Training = Field(description="How long a run trains.", examples=[{"steps": 1000}])
    evaluation: Evaluation = Field(default=Evaluation(), description="When and on what accuracy is measured.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="From which every random draw follows.")
    device: Annotated[tuple[_Device, ...], BeforeValidator(_devices_from_file), AfterValidator(_used_together)] = Field(
        default=("auto",), description="auto, cpu, cpu:N, gpu or gpu:N, or a list of devices that share a batch."
    )
    hybridize: bool = Field(default=True, description="Whether the network runs as a compiled graph.")
    plugins: Annotated[tuple[Annotated[_Text, Field(min_length=1)], ...], AsTuple] = Field(
        default=(), description="Files of plugins to load, relative to the file that names them."
    )

    _document: _Origin = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Keep the document that this was made from, if it was given as context."""
        self._document = context if isinstance(context, Document) else None

    @property
    def document(self) -> Document:
        """The settings as they were written, with their places."""
        return self._document or Document.of(self.dump(), self.name)

    @property
    def label(self) -> str:
        """The names of the norms in a word, e.g. `batch` or `weight_norm+group`."""
        return "+".join(part.name for part in self.norm)

    def __eq__(self, other: object) -> bool:
        """Compare the settings, not where they were written."""
        return isinstance(other, Spec) and self.dump() == other.dump()

    __hash__ = None  # type: ignore[assignment] # a part's parameters can be changed

    def dump(self) -> dict[str, Any]:
        """Give every setting as plain data, in the order of the schema.

        A single norm is a mapping, several are a list; a single device is text. What has no value is left out.
        """
        data: dict[str, Any] = {}
        for field in type(self).model_fields:
            data[field] = _plain(getattr(self, field))
        for field in ("norm", "device"):
            data[field] = data[field][0] if len(data[field]) == 1 else data[field]
        return data

    def to_yaml(self) -> str:
        """Write a spec file that loads to an equal spec."""
        return to_yaml(self.dump())


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, BaseModel):
        return {field: _plain(item) for field, item in value if item is not None}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def name_of(source: str) -> str:
    """Make a spec's default name from what its file is called."""
    stem = re.split(r"[/\\]", source)[-1]
    stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.")[:64] or "spec"
