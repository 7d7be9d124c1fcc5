"""The methods that `normlab bench` is asked for, with their parameters, as the command line writes them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import click
from pydantic import TypeAdapter, ValidationError

from normlab.catalog.signature import check, names, schema
from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.views import output
from normlab.conformance.cost_subjects import MethodToMeasure
from normlab.errors import ExitStatus, SpecError, suggestion
from normlab.spec.document import Document
from normlab.spec.part import OnePart, Part
from normlab.spec.problems import problems
from normlab.spec.values import in_line
from normlab.spec.yaml import compose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from normlab.catalog import Catalog
    from normlab.norms.contract import Norm


#: What methods are always seen beside.
ALWAYS = ("none", "batch")


def chosen(found: Catalog, methods: Sequence[str], settings: Sequence[str], *, every: bool) -> list[MethodToMeasure]:
    """Those that are always there, those named, and with `every` all others, by their defaults.

    Args:
        found: The catalogue.
        methods: Names, or mappings of name and parameters in YAML.
        settings: `key=value`, for every method that has such a parameter.
        every: Whether to add all others.

    Raises:
        SpecError: There is no such method, or a parameter is unfit, or nothing has it.
    """
    shared = Document.of({}, "-s")
    for setting in settings:
        shared = shared.with_override(setting)
    given = [_named(found, text, shared.data) for text in methods]
    taken = {*ALWAYS, *(each.norm.name for each in given)}
    others = [name for name in found.norms.entries if every and name not in taken]
    before, after = (
        [_asked(found.norms.entries[name], {}, shared.data) for name in those] for those in (ALWAYS, others)
    )
    asked = [*before, *given, *after]
    _check_used(shared.data, asked)
    return list({each.label: each for each in asked}.values())


def _named(found: Catalog, text: str, shared: Mapping[str, Any]) -> MethodToMeasure:
    """A method as a spec has it: a name, or a mapping of name and parameters."""
    written = compose(text, text, lines=False).plain()
    try:
        part: Part = TypeAdapter(OnePart).validate_python(written)
    except ValidationError as error:
        raise SpecError("\n".join(problems(error, Document.of({"norm": written}, text), ("norm",)))) from None
    norm = found.norms.get(part.name)
    asked = _asked(norm, part.parameters, shared)
    try:
        check(norm.factories, asked.parameters)
    except ValidationError as error:
        document = Document.of({"norm": {"name": norm.name, **asked.parameters}}, text)
        lines = problems(error, document, ("norm",), schema(norm.factories).model_json_schema())
        raise SpecError("\n".join(lines)) from None
    return asked


def _asked(norm: Norm, own: Mapping[str, Any], shared: Mapping[str, Any]) -> MethodToMeasure:
    accepted = _accepted(norm)
    parameters = {**{key: value for key, value in shared.items() if key in accepted}, **own}
    label = ", ".join([norm.name, *(f"{key}: {in_line(value)}" for key, value in parameters.items())])
    return MethodToMeasure(label, norm, parameters)


def _accepted(norm: Norm) -> set[str]:
    return {name for factory in norm.factories for name in names(factory)}


def _check_used(shared: Mapping[str, Any], asked: Sequence[MethodToMeasure]) -> None:
    known = {name for each in asked for name in _accepted(each.norm)}
    for key in shared:
        if key not in known:
            raise SpecError(f"-s {key}: none of these methods has such a parameter{suggestion(key, sorted(known))}")


EXAMPLES = (
    ("normlab bench layer rms", "beside none, batch and MXNet's own operator"),
    ("normlab bench '{name: group, groups: 4}'", "with parameters, as a spec has them"),
    ("normlab bench rms --shape 128,32,16,16", "at another shape"),
    ("normlab bench my_norm --plugin my_norm.py", "a method of your own"),
    ("normlab bench --all -s groups=4 --json", "everything that is installed, for a program"),
)
#: Values in an array at most: a few arrays of 1 GB for each method.
MOST_NUMBERS = 2**28


def _shapes(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [_shape(text) for text in texts]


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(size) for size in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no shape; expected N,C or N,C,H,W, such as 64,16,32,32") from None
    if len(shape) not in {2, 4}:
        raise click.BadParameter(f"{text!r} has {len(shape)} numbers; expected N,C or N,C,H,W")
    if min(shape) < 1 or prod(shape) > MOST_NUMBERS:
        raise click.BadParameter(f"{text!r}; expected numbers above 0 that make at most {MOST_NUMBERS} values")
    return shape


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("methods", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Measure every method that is installed.")
@click.option(
    "-s",
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Give this parameter to every method that has it; may be repeated.",
)
@click.option(
    "--rounds", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How often each is measured."
)
@click.option(
    "--shape",
    "shapes",
    callback=_shapes,
    multiple=True,
    metavar="N,C[,H,W]",
    help="Measure at this shape; may be repeated. [default: 100,100 and 64,16,32,32 and 64,64,8,8]",
)
@options.plugins
@options.as_json("the figures")
@options.debug
def bench(
    methods: tuple[str, ...],
    every: bool,
    settings: tuple[str, ...],
    rounds: int,
    shapes: list[tuple[int, ...]],
    plugins: tuple[str, ...],
    no_plugins: bool,
    as_json: bool,
) -> int:
    """Measure the cost of normalization methods in a training step.

    Parameters, running state, milliseconds forward and backward, memory, and the time as a multiple of MXNet's own
    BatchNorm operator, all measured in turn. The exit status is 4 if a method fails.
    """
    if not methods and not every:
        raise click.UsageError("name methods, or give --all")
    found = _catalog(plugins, no_plugins=no_plugins)
    from normlab.cli.bench import chosen
    from normlab.cli.views import bench_view

    asked = chosen(found, methods, settings, every=every)
    tables = bench_view.measure(asked, shapes, rounds)
    if as_json:
        bench_view.print_json(tables, rounds)
    else:
        bench_view.print_tables(tables, rounds)
    broken = any(cost.broken for table in tables for cost in table.costs)
    return ExitStatus.PLUGIN if broken else ExitStatus.DONE


def _catalog(files: Sequence[str], *, no_plugins: bool) -> Catalog:
    from normlab.catalog import catalog

    found = catalog(files, third_party=not no_plugins)
    found.require_explicit()
    for line in found.warnings:
        output.warn(line)
    return found
