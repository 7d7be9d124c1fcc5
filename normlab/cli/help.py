"""How help looks: one width, `-h` everywhere, examples after the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Context settings of every command; groups hand them on to their commands.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_LONGEST = 60


class WithExamples(click.Command):
    """A command whose help ends with examples.

    Args:
        examples: Command lines and what they do.
    """

    def __init__(self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each a command line and what it does."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(self.examples, col_max=_LONGEST)
        super().format_epilog(ctx, formatter)
