"""`normlab models`: which networks there are, and what each is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, SuggestingGroup, WithExamples
from normlab.cli.options import open_catalog
from normlab.cli.views import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog import Model
    from normlab.catalog.signature import Parameter

EXAMPLES = (
    ("normlab models", "all networks, built in and from plugins"),
    ("normlab models show resnet", "paper, parameters"),
    ("normlab models show my_net --plugin my_net.py", "a network of your own"),
    ("normlab models --json | jq -r '.models[].name'", "their names, for a program"),
)


@click.group(cls=SuggestingGroup, context_settings=CONTEXT, invoke_without_command=True, examples=EXAMPLES)
@options.plugins
@options.as_json("the list")
@options.debug
@click.pass_context
def models(context: click.Context, plugins: tuple[str, ...], no_plugins: bool, as_json: bool) -> None:
    """List networks, or show one.

    A plugin that can't be used is named on standard error, with the reason.
    """
    if context.invoked_subcommand is None:
        found = list(open_catalog(plugins, no_plugins=no_plugins).models.entries.values())
        if as_json:
            output.print_json({"models": [_as_dict(model) for model in found]})
        else:
            _print_list(found)


@models.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[1:3])
@click.argument("name")
@options.plugins
@options.as_json("the network")
@options.debug
@click.pass_context
def show(context: click.Context, name: str, plugins: tuple[str, ...], no_plugins: bool, as_json: bool) -> None:
    """Show paper, parameters and origin of the network NAME."""
    # the same options may stand before `show`
    before = context.parent.params if context.parent else {}
    found = open_catalog((*before["plugins"], *plugins), no_plugins=no_plugins or before["no_plugins"])
    model = found.models.get(name)
    if as_json or before["as_json"]:
        output.print_json(_as_dict(model))
    else:
        click.echo("\n".join(_card(model)))


def _print_list(found: Sequence[Model]) -> None:
    rows = [("name", "what", "paper", "from")]
    rows += [(model.name, model.summary, model.paper, _origin(model)) for model in found]
    click.echo("\n".join(output.columns(rows, header=True)))
    click.echo("\nmore about one: normlab models show NAME")


def _card(model: Model) -> list[str]:
    """A network as lines for a person: what it is, paper, origin, parameters."""
    facts = [("paper", model.paper), ("from", _origin(model)), ("file", model.source.file)]
    lines = [f"{click.style(model.name, bold=True)}: {model.summary}", ""]
    lines += output.columns([fact for fact in facts if fact[1]], wrap=True)
    parameters = _parameters(model)
    if parameters:
        rows = [("parameter", "type", "default", "what")]
        rows += [(each.name, each.type, _written(each.default), each.description) for each in parameters]
        lines += ["", *output.columns(rows, header=True, wrap=True)]
    return [*lines, "", f"in a spec:  model: {_example(model, parameters)}"]


def _as_dict(model: Model) -> dict[str, Any]:
    """A network as an object for a program; a parameter without default is `required`."""
    return {
        "name": model.name,
        "summary": model.summary,
        "paper": model.paper,
        "parameters": [
            {
                "name": each.name,
                "type": each.type,
                "required": each.default is ...,
                "default": None if each.default is ... else _plain(each.default),
                "description": each.description,
            }
            for each in _parameters(model)
        ],
        "source": model.source._asdict(),
    }


def _parameters(model: Model) -> list[Parameter]:
    from normlab.catalog.signature import describe

    return describe(model.factories)


def _origin(model: Model) -> str:
    """The distribution and version that bring a network, or its file."""
    return " ".join(filter(None, [model.source.distribution, model.source.version])) or model.source.file


def _plain(default: Any) -> Any:
    """A default as a spec file has it: a part is its name, or a mapping of its name and parameters."""
    from normlab.spec import Part

    if not isinstance(default, Part):
        return default
    return default.dump() if default.parameters else default.name


def _written(default: Any) -> str:
    """A default as YAML writes it."""
    if default is ...:
        return "(required)"
    plain = _plain(default)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _example(model: Model, parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return model.name
    first = parameters[0]
    return f"{{name: {model.name}, {first.name}: {'...' if first.default is ... else _written(first.default)}}}"
