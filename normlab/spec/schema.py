"""The typed schema of a spec: every setting with its type, bounds, default and description."""

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
"""What names of specs look like."""
DEVICE = r"^(auto|cpu|gpu|(cpu|gpu):(0|[1-9][0-9]?))$"
"""What names of devices look like."""

_Split = Literal["train", "validation", "test"]
_Count = Optional[PositiveInt]
_Amount = Optional[PositiveFloat]
_BatchSize = Union[PositiveInt, Literal["all"]]
_Context = Optional[Document]
_Text = Annotated[str, AfterValidator(checked_text)]


def _check_distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise mistake("expected at least one, got an empty list")
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise mistake(f"{shown(again[0])} is listed twice; expected each once")
    return values


def _check_norms(norms: tuple[Part, ...]) -> tuple[Part, ...]:
    if not norms:
        raise mistake("expected at least one, got an empty list; write 'none' for no norm")
    return norms


def _check_batch_size(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not is_count and value != "all":
        raise mistake(f"expected a whole number above 0 or 'all', got {shown(value)}")
    return value


def _devices_from_file(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _check_devices(devices: tuple[str, ...]) -> tuple[str, ...]:
    _check_distinct(tuple(device if ":" in device else f"{device}:0" for device in devices))
    if "auto" in devices and len(devices) > 1:
        raise mistake("'auto' is combined with other devices; expected it alone, or the devices without it")
    return devices


_Device = Annotated[
    str,
    matching(DEVICE, "auto, cpu, cpu:N, gpu or gpu:N"),
    Field(json_schema_extra={"pattern": DEVICE}),
]


class Training(BaseModel):
    """How long a run trains, and the size of its batches."""

    model_config = STRICT

    steps: _Count = Field(default=None, description="Total number of optimizer steps; give either this or epochs.")
    epochs: _Amount = Field(
        default=None, description="Total passes over the training split, e.g. 2.5; give either this or steps."
    )
    batch_size: PositiveInt = Field(default=100, description="Examples per step, over all devices.")
    checkpoint_every: _Count = Field(default=None, description="Steps between checkpoints; null lets normlab choose.")

    @model_validator(mode="after")
    def _check_budget(self) -> Training:
        if (self.steps is None) == (self.epochs is None):
            got = "got neither" if self.steps is None else "got both"
            raise mistake(f"expected either steps or epochs, {got}; write e.g. steps: 1000")
        return self


class Evaluation(BaseModel):
    """When accuracy is measured, and on which splits."""

    model_config = STRICT

    every: PositiveInt = Field(default=100, description="Steps between evaluations; the last step is evaluated too.")
    splits: Annotated[tuple[_Split, ...], AsTuple, AfterValidator(_check_distinct)] = Field(
        default=("train", "test"), description="Splits to evaluate: train, validation, test."
    )
    batch_size: Annotated[_BatchSize, BeforeValidator(_check_batch_size)] = Field(
        default=1000, description="Examples per batch; 'all' evaluates a whole split at once."
    )


class Spec(BaseModel):
    """One experiment: dataset, model, norm, optimizer, schedule, budget, evaluation, seed, device."""

    model_config = STRICT

    name: Annotated[str, matching(SPEC_NAME, "a name of letters, digits, '_', '-' and '.', at most 64")] = Field(
        description="Name of the experiment; by default the name of its file.",
        json_schema_extra={"pattern": SPEC_NAME},
    )
    description: _Text = Field(default="", description="Purpose of the experiment, in a sentence.")
    dataset: OnePart = Field(description="The data set.", examples=["mnist"])
    model: OnePart = Field(description="The network.", examples=["mlp"])
    norm: Annotated[SeveralParts, AfterValidator(_check_norms)] = Field(
        default=(Part(name="none"),), description="The normalization method, or a list of methods used together."
    )
    loss: OnePart = Field(default=Part(name="softmax_cross_entropy"), description="The loss that training minimizes.")
    optimizer: OnePart = Field(description="The optimizer.", examples=["sgd"])
    schedule: OnePart = Field(
        default=Part(name="constant"), description="How the learning rate changes during training."
    )
    augmentation: SeveralParts = Field(default=(), description="Transforms of the training examples, in this order.")
    training: Training = Field(description="How long a run trains.", examples=[{"steps": 1000}])
    evaluation: Evaluation = Field(default=Evaluation(), description="When accuracy is measured, and on which splits.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Determines all random draws.")
    device: Annotated[tuple[_Device, ...], BeforeValidator(_devices_from_file), AfterValidator(_check_devices)] = Field(
        default=("auto",), description="auto, cpu, cpu:N, gpu or gpu:N, or a list of devices that share a batch."
    )
    hybridize: bool = Field(default=True, description="Whether to compile the network into a graph.")
    plugins: Annotated[tuple[Annotated[_Text, Field(min_length=1)], ...], AsTuple] = Field(
        default=(), description="Files of plugins to load, relative to the file that names them."
    )

    _document: _Context = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Keep the document that is passed as context of the validation."""
        self._document = context if isinstance(context, Document) else None

    @property
    def document(self) -> Document:
        """The settings as they were written, with their positions."""
        return self._document or Document.of(self.dump(), self.name)

    @property
    def label(self) -> str:
        """The names of the norms, joined: `batch` or `weight_norm+group`."""
        return "+".join(part.name for part in self.norm)

    def __eq__(self, other: object) -> bool:
        """Compare the settings, not their positions."""
        return isinstance(other, Spec) and self.dump() == other.dump()

    __hash__ = None  # type: ignore[assignment] # the parameters of a part are mutable

    def dump(self) -> dict[str, Any]:
        """Return all settings as plain data, in the order of the schema.

        A single norm is a mapping and several norms are a list; a single device is text. Settings that are None are
        left out.
        """
        data: dict[str, Any] = {}
        for field in type(self).model_fields:
            data[field] = _plain(getattr(self, field))
        for field in ("norm", "device"):
            data[field] = data[field][0] if len(data[field]) == 1 else data[field]
        return data

    def to_yaml(self) -> str:
        """Return the text of a spec file that loads to an equal spec."""
        return to_yaml(self.dump())


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, BaseModel):
        return {field: _plain(item) for field, item in value if item is not None}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def name_of(source: str) -> str:
    """Return the default name of a spec, made of the name of its file."""
    stem = re.split(r"[/\\]", source)[-1]
    stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.")[:64] or "spec"
