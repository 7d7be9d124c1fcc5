"""`normlab doctor`: what is installed here, what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from normlab.cli import options
from normlab.cli.help import CONTEXT, WithExamples
from normlab.cli.views import output
from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from normlab.cli.checkup import Finding

EXAMPLES = (
    ("normlab doctor", "everything"),
    ("normlab doctor --quiet", "what is wrong"),
    ("normlab doctor --json | jq '.findings[] | select(.state == \"wrong\")'", "what is wrong, for a program"),
)

COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.option("--quiet", is_flag=True, help="Print nothing but what is wrong.")
@options.as_json("the findings")
@options.debug
def doctor(quiet: bool, as_json: bool) -> int:
    """Say what is installed, what is wrong and how to mend it.

    The exit status is 1 if something is wrong. Notes tell what is limited here, and ask for nothing.
    """
    from normlab.cli import checkup

    findings = list(checkup.checkup())
    wrong = [finding for finding in findings if finding.state == checkup.WRONG]
    if as_json:
        output.print_json({"healthy": not wrong, "findings": [asdict(finding) for finding in findings]})
    elif not quiet:
        verdict = "all is well" if not wrong else f"{len(wrong)} wrong"
        click.echo("\n".join([*_lines(findings), "", verdict]))
    elif wrong:
        click.echo("\n".join(_lines(wrong)))
    return ExitStatus.UNEXPECTED if wrong else ExitStatus.DONE


def _lines(findings: list[Finding]) -> list[str]:
    """One line a finding, and one for its remedy."""
    rows = []
    for finding in findings:
        rows.append((finding.state, finding.topic, finding.value))
        if finding.remedy:
            rows.append(("", "", f"-> {finding.remedy}"))
    lines = output.columns(rows, wrap=True)
    return [_coloured(line) for line in lines]


def _coloured(line: str) -> str:
    state, space, rest = line.partition(" ")
    return click.style(state, fg=COLOURS[state]) + space + rest if state else line
