"""`normlab data`: lists the data sets, says where each would come from, fetches and verifies their files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, SuggestingGroup, WithExamples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from normlab.datasets.plugin import Shipped

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # no generic class before click 8.3

EXAMPLES = (
    ("normlab data", "all data sets, and where each would come from"),
    ("normlab data fetch fashion_mnist", "bring its files onto this machine"),
    ("normlab data verify", "check the files that are here"),
)

_HEADER = ("name", "shape", "classes", "train", "validation", "test", "files", "where")


class _DatasetName(_ParamType):
    """The name of a shipped data set; completed in the shell, and corrected if it is nearly one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shipped:
        from normlab.datasets.plugin import SHIPPED, Shipped
        from normlab.errors import suggestion

        if isinstance(value, Shipped):
            return value
        if value not in SHIPPED:
            hint = suggestion(value, SHIPPED) or f"; expected one of {', '.join(SHIPPED)}"
            self.fail(f"no data set {value!r}{hint}", param, ctx)
        return SHIPPED[value]

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from normlab.datasets.plugin import SHIPPED

        return [CompletionItem(name) for name in SHIPPED if name.startswith(incomplete)]


@click.group(cls=SuggestingGroup, context_settings=CONTEXT, invoke_without_command=True, examples=EXAMPLES)
@options.as_json("the list, with licence, citation and places,")
@options.debug
@click.pass_context
def data(context: click.Context, *, as_json: bool) -> None:
    """List data sets; download and verify their files.

    Files are looked for in $NORMLAB_DATA (DIR/NAME/FILE or DIR/FILE), where a distribution's package installs them,
    and in normlab's cache; what is nowhere is downloaded when it is needed.
    """
    if context.invoked_subcommand is None:
        _print_json() if as_json else _print_table()


@data.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[1:2])
@click.argument("name", type=_DatasetName())
@options.debug
def fetch(name: Shipped) -> None:
    """Download and verify the files of data set NAME.

    Files that are already here stay; those in normlab's cache that are damaged are replaced.
    """
    from normlab.datasets import store

    source = name.source
    if not source.files:
        click.echo(f"{source.name}: needs no files")
        return
    for folder in dict.fromkeys(path.parent for path in store.repair(source)):
        click.echo(f"{source.name}: {_megabytes(source.size)}, verified, in {folder}")
    click.echo(f"licence: {source.licence}\ncite: {source.citation}")


@data.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[2:])
@click.argument("name", type=_DatasetName(), required=False)
@options.debug
def verify(name: Shipped | None) -> None:
    """Check the files of data set NAME, or of all that are here, against their SHA-256."""
    from normlab.datasets.plugin import SHIPPED
    from normlab.errors import DataError

    faults = []
    for shipped in [name] if name else SHIPPED.values():
        faults += _verify(shipped)
        if name and shipped.origin().state not in {"present", "needs none"}:
            raise DataError(f"data set {name.source.name}: is not here; expected its files; fetch it first")
    if faults:
        raise DataError(
            f"{', '.join(faults)}: damaged; expected the SHA-256 of the genuine files; "
            "remove these files, or `normlab data fetch NAME` if they are in normlab's cache",
        )


def _verify(shipped: Shipped) -> list[str]:
    """Tell the state of every file of a data set; gives the paths of the damaged ones."""
    from normlab.datasets import store

    source = shipped.source
    results = store.examine(source)
    for path, fault in results.items():
        click.echo(f"damaged  {fault}" if fault else f"good     {path}")
    if len(results) < len(source.files):
        click.echo(f"absent   {len(source.files) - len(results)} files of {source.name}")
    return [str(path) for path, fault in results.items() if fault]


def _print_table() -> None:
    from normlab.datasets.plugin import SHIPPED

    rows = [_HEADER, *(_row(shipped) for shipped in SHIPPED.values())]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        click.secho(line, bold=number == 0)


def _row(shipped: Shipped) -> tuple[str, ...]:
    source, origin = shipped.source, shipped.origin()
    size = _megabytes(sum(download.size for download in source.downloads))
    state = f"download ({size})" if origin.state == "for download" else origin.state
    sizes = [f"{count:,}" for count in source.sizes or ()] or ["any"] * 3
    return (source.name, _shape(source.shape), str(source.classes or "any"), *sizes, state, origin.where)


def _shape(shape: Sequence[int] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "any"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _print_json() -> None:
    from normlab.datasets.plugin import SHIPPED

    click.echo(json.dumps([_record(shipped) for shipped in SHIPPED.values()], indent=2))


def _record(shipped: Shipped) -> dict[str, Any]:
    source, origin = shipped.source, shipped.origin()
    return {
        "name": source.name,
        "description": source.description,
        "shape": source.shape,
        "classes": source.classes,
        "sizes": dict(zip(("train", "validation", "test"), source.sizes)) if source.sizes else None,
        "state": origin.state,
        "where": origin.where,
        "bytes": source.size,
        "download_bytes": sum(download.size for download in source.downloads),
        "licence": source.licence,
        "citation": source.citation,
        "places": [{"where": place.where, "state": place.state} for place in shipped.locate()],
    }
