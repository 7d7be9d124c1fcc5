"""Settings laid over the base spec of a study, as a file that extends another is laid over it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from normlab.errors import SpecError
from normlab.spec import Document, Spec
from normlab.spec.document import replace
from normlab.spec.node import Entry, Node, Place
from normlab.spec.problems import problems
from normlab.study.design.arms import Question
from normlab.study.design.study_schema import points


def path_of(key: str) -> tuple[str | int, ...]:
    """The path that a dotted key names: `norm.0.epsilon` is `("norm", 0, "epsilon")`."""
    return tuple(int(step) if step.isdigit() else step for step in key.split("."))


def laid_over(base: Spec, settings: Mapping[str, Node]) -> Spec:
    """The base spec with these settings.

    A setting at the top, such as `norm`, is merged as `extends` does it: a part of another name replaces the base's,
    one of the same name takes over its parameters. A dotted key replaces what is there.

    Args:
        base: What all arms share.
        settings: Values by dotted key.

    Raises:
        SpecError: The result is no valid spec.
    """
    document = base.document
    for key, node in settings.items():
        path = path_of(key)
        if len(path) == 1:
            if isinstance(node.value, str):  # a part that is only a name, which keeps the parameters of its namesake
                node = Node({"name": Entry(node.place, node)}, node.place)  # noqa: PLW2901 - the same in other words
            document = document.merged(Document(Node({key: Entry(node.place, node)}, document.root.place)))
        else:
            document = Document(replace(document.root, path, node, node.place))
    try:
        return Spec.model_validate({"name": base.name, **document.data}, context=document)
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, document, schema=Spec.model_json_schema()))) from None


#: The split on which trials are judged; never the one on which arms are compared.
TRIAL_SPLIT = "validation"

#: Settings of the base spec that don't change what its runs compute, nor where they are.
_NOT_IDENTITY = ("description", "plugins", "seed")
#: An evaluation interval that no trial reaches before its last step, which is evaluated in any case.
_NEVER = 1_000_000_000


@dataclass(frozen=True)
class ArmDesign:
    """What sets an arm apart.

    Attributes:
        label: How it is told in tables and figures.
        settings: Values of the scientific keys, with the places where they were written.
    """

    label: str
    settings: Mapping[str, Node]

    def plain(self) -> dict[str, Any]:
        """The settings without places."""
        return {key: node.plain() for key, node in self.settings.items()}


@dataclass(frozen=True)
class Design:
    """A study before it runs.

    Attributes:
        question: What it asks.
        base: The spec that all arms share.
        arms: Its arms, in the order of the file.
        grid: Values of each nuisance key, with their places.
        tuning_steps: Steps of a trial; None for those of the spec.
    """

    question: Question
    base: Spec
    arms: tuple[ArmDesign, ...]
    grid: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    tuning_steps: int | None = None

    @property
    def points(self) -> list[dict[str, Any]]:
        """The grid's points, in order; empty if nothing is tuned."""
        return points(self.question.nuisance) if self.question.nuisance else []

    def final_spec(self, arm: ArmDesign, chosen: Mapping[str, Any], seed: int) -> Spec:
        """The spec of a final run.

        Args:
            arm: Its arm.
            chosen: Values of the nuisance keys.
            seed: Its seed.

        Raises:
            SpecError: A setting is unfit.
        """
        return self._spec({**arm.settings, **self._nodes(chosen), "seed": _node("seed", seed)})

    def trial_spec(self, arm: ArmDesign, point: Mapping[str, Any], seed: int) -> Spec:
        """The spec of a trial: evaluated on the validation split alone, at its end alone.

        Raises:
            SpecError: A setting is unfit.
        """
        settings = {**arm.settings, **self._nodes(point), "seed": _node("seed", seed)}
        settings["evaluation.splits"] = _node("evaluation.splits", [TRIAL_SPLIT])
        if self.tuning_steps is not None:
            settings["training"] = self._training()
        last = self.tuning_steps or self.base.training.steps or _NEVER
        settings["evaluation.every"] = _node("evaluation.every", last)
        return self._spec(settings)

    def identity(self) -> str:
        """SHA-256 of all that decides which runs the study has and what it concludes from them."""
        question = self.question
        content = {
            "base": {key: value for key, value in self.base.dump().items() if key not in _NOT_IDENTITY},
            "arms": {arm.label: arm.plain() for arm in self.arms},
            "tuning_steps": self.tuning_steps,
            **{name: value for name, value in vars(question).items() if name not in ("name", "description")},
        }
        return sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def _spec(self, settings: Mapping[str, Node]) -> Spec:
        return laid_over(self.base, settings)

    def _training(self) -> Node:
        training = {key: value for key, value in self.base.dump()["training"].items() if key != "epochs"}
        return _node("tuning.steps", {**training, "steps": self.tuning_steps})

    def _nodes(self, values: Mapping[str, Any]) -> dict[str, Node]:
        """Values of nuisance keys with the places where the grid has them."""
        return {key: _found(self.grid.get(key, ()), value) or _node(key, value) for key, value in values.items()}


def _found(nodes: Iterable[Node], value: Any) -> Node | None:
    return next((node for node in nodes if node.plain() == value), None)


def _node(key: str, value: Any) -> Node:
    return Node.of(value, Place(f"{key}: {value}"))
