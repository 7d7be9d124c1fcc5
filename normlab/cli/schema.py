"""`normlab schema`: the JSON Schema of spec files."""

from __future__ import annotations

import json

import click

from normlab.cli import options
from normlab.cli.help import CONTEXT, WithExamples

EXAMPLES = (
    ("normlab schema > normlab.schema.json", "write it beside your specs"),
    ("# yaml-language-server: $schema=normlab.schema.json", "first line of a spec, for its editor"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@options.debug
def schema() -> None:
    """Print the JSON Schema of spec files, for editors.

    With it, an editor completes the keys of a spec and marks mistakes while you type.
    """
    from normlab.spec import json_schema

    click.echo(json.dumps(json_schema(), indent=2, allow_nan=False, ensure_ascii=False))
