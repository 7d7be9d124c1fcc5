"""All that is known of a normalization method, as lines for a person or an object for a program."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from normlab.cli import norm_filters
from normlab.cli.views import output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from normlab.catalog.signature import Parameter
    from normlab.norms.contract import Norm


def card(norm: Norm) -> list[str]:
    """A method as lines for a person: formula, paper, traits, origin, parameters."""
    lines = [f"{click.style(norm.name, bold=True)}: {norm.summary}", "", *output.columns(_facts(norm), wrap=True)]
    parameters = _parameters(norm)
    if parameters:
        rows = [row for each in parameters for row in _parameter_rows(each)]
        lines += ["", *output.columns([("parameters", ""), *rows], header=True, wrap=True)]
    return [*lines, "", f"in a spec:  norm: {_example(norm, parameters)}"]


def as_dict(norm: Norm) -> dict[str, Any]:
    """A method as an object for a program; a parameter without default is `required`."""
    return {
        "name": norm.name,
        "title": norm.summary,
        "family": norm_filters.family(norm),
        "formula": norm.formula,
        "authors": norm.authors,
        "venue": norm.venue,
        "year": norm.year,
        "paper": norm.paper,
        "paper_title": norm.paper_title,
        "provenance": norm.provenance,
        "ways": list(norm.ways),
        "traits": traits(norm),
        "parameters": [
            {
                "name": each.name,
                "type": each.type,
                "required": each.default is ...,
                "default": None if each.default is ... else each.default,
                "description": each.description,
            }
            for each in _parameters(norm)
        ],
        "source": norm.source._asdict(),
    }


def origin(norm: Norm) -> str:
    """The distribution and version that bring a method, or its file."""
    return " ".join(filter(None, [norm.source.distribution, norm.source.version])) or norm.source.file


def traits(norm: Norm) -> list[str]:
    """What sets a method apart in use, in words."""
    found = []
    if norm_filters.depends_on_batch(norm):
        found.append("depends on the batch")
    if norm_filters.has_state(norm):
        found.append("keeps running state")
    if getattr(norm.layer, "replaces_activation", False):
        found.append("replaces the activation")
    if getattr(norm.layer, "needs_layer_before", False):
        found.append("looks at the layer before")
    if norm.layer is not None:
        found.append(f"layouts {' '.join(norm.layer.layouts)}")
    if norm.provenance != "confirmed":
        found.append(f"provenance {norm.provenance}")
    return found


def _parameters(norm: Norm) -> list[Parameter]:
    from normlab.catalog.signature import describe

    return describe(norm.factories)


def _facts(norm: Norm) -> list[tuple[str, str]]:
    cited = ", ".join(filter(None, [norm.authors, norm.venue, str(norm.year or "")]))
    facts = [
        ("formula", norm.formula),
        ("paper", ": ".join(filter(None, [cited, norm.paper]))),
        ("acts by", ", ".join(norm.ways)),
        ("traits", ", ".join(traits(norm))),
        ("from", origin(norm)),
        ("file", norm.source.file),
    ]
    return [(name, value) for name, value in facts if value]


def _parameter_rows(parameter: Parameter) -> list[tuple[str, str]]:
    default = "required" if parameter.default is ... else f"default {_written(parameter.default)}"
    rows = [(f"  {parameter.name}", f"{parameter.type}, {default}")]
    if parameter.description:
        rows.append(("", parameter.description))
    return rows


def _written(default: Any) -> str:
    """A default as YAML writes it."""
    return default if isinstance(default, str) else json.dumps(default)


def _example(norm: Norm, parameters: list[Parameter]) -> str:
    if not parameters:
        return norm.name
    first = parameters[0]
    value = "..." if first.default is ... else _written(first.default)
    return f"{{name: {norm.name}, {first.name}: {value}}}"


_SPECIAL = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$"}


def bibtex(norm: Norm) -> str:
    """One entry, or "" for a method without a paper.

    The title is that of the paper where the method says it, else the method's own name.
    """
    if not norm.paper or not norm.authors:
        return ""
    kind, _, number = norm.paper.partition(":")
    fields = {
        "title": f"{{{_escaped(norm.paper_title or norm.summary)}}}",
        "author": _authors(norm.authors),
        "year": str(norm.year) if norm.year else "",
        "booktitle": _escaped(norm.venue),
        "eprint": number if kind == "arXiv" else "",
        "archiveprefix": "arXiv" if kind == "arXiv" else "",
        "doi": number if kind == "doi" else "",
        "url": norm.paper if kind.startswith("http") else "",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{'inproceedings' if norm.venue else 'misc'}{{{key(norm)},", *lines, "}"])


def key(norm: Norm) -> str:
    """First author and year, e.g. `ioffe2015`, and the method's name, which makes it unique."""
    first = re.split(r",| and | et al", norm.authors)[0]
    return re.sub(r"[^a-z0-9_]", "", f"{first.strip().lower()}{norm.year or ''}_{norm.name}")


def bibliography(norms: Iterable[Norm]) -> str:
    """The entries of several methods, a blank line between them."""
    return "\n\n".join(filter(None, map(bibtex, norms)))


def _authors(text: str) -> str:
    names = [name.strip() for name in re.split(r",| and ", text.replace(" et al.", " and others")) if name.strip()]
    return " and ".join(_escaped(name) for name in names)


def _escaped(text: str) -> str:
    return re.sub("[&%_#$]", lambda found: _SPECIAL[found[0]], text)
