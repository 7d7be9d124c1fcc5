"""`normlab schema`: the JSON Schema of spec files and of study files."""

from __future__ import annotations

import json

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples

EXAMPLES = (
    ("normlab schema > normlab.schema.json", "write it beside your specs"),
    ("# yaml-language-server: $schema=normlab.schema.json", "first line of a spec, for its editor"),
    ("normlab schema --study > study.schema.json", "that of study files"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.option("--study", is_flag=True, help="That of study files, as `normlab compare` takes them.")
@options.debug
def schema(study: bool) -> None:
    """Print the JSON Schema of spec files, for editors.

    With it, an editor completes the keys of a spec and marks mistakes while you type.
    """
    if study:
        from normlab.study.design.study_schema import json_schema
    else:
        from normlab.spec import json_schema

    click.echo(json.dumps(json_schema(), indent=2, allow_nan=False, ensure_ascii=False))
