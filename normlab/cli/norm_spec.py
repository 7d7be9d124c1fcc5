"""A commented spec for a method: all its parameters with their defaults, in a network that has a place for it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from normlab.catalog.signature import Parameter
    from normlab.norms.contract import Norm

_WIDTH = 110


class _Network(NamedTuple):
    """A network to show a method in.

    Attributes:
        why: What to say about it.
        lines: Its block in a spec.
        channels: The least channels that one of its sites has.
    """

    why: str
    lines: tuple[str, ...]
    channels: int


_DENSE = _Network(
    "Three dense layers, a norm before the activation of each of the first two.",
    ("name: mlp", "hidden: [128, 128]", "activation: relu"),
    128,
)
_CONVOLUTIONAL = _Network(
    "A small residual network: the method needs images, or convolutions.", ("name: resnet", "depth: 8"), 16
)


def starter(norm: Norm) -> str:
    """A spec that trains with a method, as text.

    Args:
        norm: The method.

    Returns:
        YAML that says of each line what it is for.
    """
    network = _network(norm)
    lines = [
        *_comment(f"{norm.summary} on MNIST. Run it with:  normlab run configs/norms/{norm.name}.yaml"),
        *_comment("Written by `normlab norms show --spec`: every parameter of the method, with its default."),
        "",
        "# 70,000 handwritten digits; 55,000 of them to train on.",
        "dataset: mnist",
        "",
        *_comment(network.why),
        "model:",
        *(f"  {line}" for line in network.lines),
        "",
        *_method(norm, network),
        "",
        "# Cross-entropy of the softmax of the ten outputs, averaged over the batch.",
        "loss: softmax_cross_entropy",
        "",
        "# The best rate depends on the method: `normlab compare` finds it for each.",
        "optimizer:",
        "  name: sgd",
        "  learning_rate: 0.1",
        "  momentum: 0.9",
        "",
        "training:",
        "  steps: 1000      # batches in all",
        "  batch_size: 100  # images in each",
        "",
        "evaluation:",
        "  every: 100             # steps between evaluations",
        "  splits: [train, test]  # accuracy over all of their images",
        "",
        "# The start of everything random: initial weights and the order of the images.",
        "seed: 0",
    ]
    return "\n".join(lines) + "\n"


def _network(norm: Norm) -> _Network:
    layer = norm.layer
    return _DENSE if layer is None or "NC" in layer.layouts else _CONVOLUTIONAL


def _method(norm: Norm, network: _Network) -> list[str]:
    from normlab.catalog.signature import describe

    said = [f"{norm.summary}.", f"{norm.formula}." if norm.formula else "", _cited(norm)]
    lines = [line for text in said if text for line in _comment(text)]
    parameters = describe(norm.factories)
    if not parameters:
        return [*lines, f"norm: {norm.name}"]
    lines += ["norm:", f"  name: {norm.name}"]
    for parameter in parameters:
        lines += [f"  {line}" for line in _comment(f"{parameter.description} ({parameter.type})")]
        lines.append(_setting(parameter, network))
    return lines


def _setting(parameter: Parameter, network: _Network) -> str:
    """The line that sets a parameter to its default; commented out where there is none to write."""
    value = parameter.default
    if parameter.name == "groups" and isinstance(value, int) and network.channels % value:
        return f"  groups: {min(4, network.channels)}  # the default, {value}, does not divide the channels here"
    if value is ... or value is None:
        return f"  # {parameter.name}: {'...  # required' if value is ... else 'null'}"
    return f"  {parameter.name}: {_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    # YAML 1.1 takes 1e-05 for text
    return text.replace("e-", ".0e-") if "e-" in text and "." not in text else text


def _cited(norm: Norm) -> str:
    cited = ", ".join(filter(None, [norm.authors, norm.venue, str(norm.year or "")]))
    return f"{': '.join(filter(None, [cited, norm.paper]))}." if norm.paper else ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def write_all(folder: Path) -> None:
    """Write a starter for each method that normlab ships, and remove those of methods that it doesn't."""
    from normlab.catalog import catalog

    shipped = [norm for norm in catalog().norms.entries.values() if norm.source.distribution == "normlab"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.yaml"):
        file.unlink()
    for norm in shipped:
        (folder / f"{norm.name}.yaml").write_text(starter(norm), encoding="utf-8")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
