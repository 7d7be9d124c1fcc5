"""`normlab new`: write a plugin that works, to be changed into one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples

if TYPE_CHECKING:
    from pathlib import Path

#: The ways for which there is a template in `normlab/conformance/templates/`.
WAYS = ("layer", "weight", "gradient")

EXAMPLES = (
    ("normlab new my_norm", "a layer, in the file my_norm.py"),
    ("normlab new my_norm --way weight", "a method that acts on weights"),
    ("normlab new my_norm --package", "a package to install and publish"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("name")
@click.option("--package", is_flag=True, help="Write an installable package with tests, not a single file.")
@click.option(
    "--way",
    type=click.Choice(WAYS),
    default="layer",
    show_default=True,
    help="What the method acts on: activations, weights, or gradients before a step.",
)
@click.option("--out", default=".", show_default=True, metavar="DIR", type=click.Path(), help="Where it goes.")
@options.debug
def new(name: str, package: bool, way: str, out: str) -> None:
    """Write a working plugin with a method NAME, to adapt into your own.

    It passes `normlab check` unchanged. Existing files are not overwritten.
    """
    from normlab.catalog import catalog
    from normlab.conformance import scaffold

    scaffold.check_name(name, catalog().norms)
    write = scaffold.write_package if package else scaffold.write_file
    written = write(name, way, out)
    what = "a package with one method" if package else "a method"
    click.echo(f"wrote {written}: {what} that works; change it into yours\nnext:")
    click.echo("\n".join(f"  {command}" for command in _next(name, written, package=package)))


def _next(name: str, written: Path, *, package: bool) -> list[str]:
    train = "normlab run configs/mnist_bn.yaml"
    if package:
        install = f"pip install -e './{written}[test]'"
        return [install, f"normlab check {name}", f"pytest {written}", f"{train} -s norm={name}"]
    return [f"normlab check {written}", f"{train} --plugin {written} -s norm={name}"]
