"""Settings laid over the base spec of a study, as a file that extends another is laid over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from normlab.errors import SpecError
from normlab.spec import Document, Spec
from normlab.spec.merge import replace
from normlab.spec.node import Entry, Node
from normlab.spec.problems import problems

if TYPE_CHECKING:
    from collections.abc import Mapping


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
