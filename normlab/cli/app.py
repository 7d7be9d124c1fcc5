"""The command `normlab`: the table of its commands, which are imported when they are called, and the look of help."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from normlab.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from click.shell_completion import CompletionItem


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


class Entry(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        target: where it is, `module:attribute`.
        summary: the first sentence of its help, without the full stop.
    """

    target: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class SuggestingGroup(WithExamples, click.Group):
    """A group that answers a mistyped command with the nearest right one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with.

        Raises:
            click.UsageError: there is none of that name.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            names = self.list_commands(ctx)
            near = get_close_matches(name, names, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(names)}"
            raise click.UsageError(f"unknown command '{name}'; {advice}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group made from a table of `Entry`; commands are listed in the order of the table."""

    def __init__(self, *arguments: Any, entries: Mapping[str, Entry], **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command `cmd_name`, or give None if there is none."""
        entry = self.entries.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the commands into the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands without importing them, and options as usual."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


COMMANDS = {
    "run": Entry("normlab.cli.run:run", "Train the experiment in a spec file and store its accuracy history"),
    "compare": Entry("normlab.cli.compare:compare", "Compare normalization methods fairly: paired seeds, equal tuning"),
    "runs": Entry("normlab.cli.runs:runs", "List, show or remove runs"),
    "report": Entry("normlab.cli.report:report", "Compare stored runs and write the report"),
    "norms": Entry("normlab.cli.norms:norms", "List normalization methods, or show one"),
    "models": Entry("normlab.cli.models:models", "List networks, or show one"),
    "data": Entry("normlab.cli.data:data", "List data sets; download and verify their files"),
    "plugins": Entry("normlab.cli.plugins:plugins", "List plugins, what each adds, and why one can't be used"),
    "new": Entry("normlab.cli.new:new", "Write a working plugin with a method, to adapt into your own"),
    "check": Entry("normlab.cli.check:check", "Check that normalization methods satisfy the contract"),
    "bench": Entry("normlab.cli.bench:bench", "Measure the cost of normalization methods in a training step"),
    "schema": Entry("normlab.cli.schema:schema", "Print the JSON Schema of spec files, for editors"),
    "doctor": Entry("normlab.cli.doctor:doctor", "Report what is installed, what is wrong and how to fix it"),
    "completion": Entry("normlab.cli.completion:completion", "Print the script that completes commands in a shell"),
}

EXAMPLES = (
    ("normlab run configs/mnist_bn.yaml", "train MNIST with batch normalization"),
    ("normlab run configs/mnist_bn.yaml -s norm=none", "the same network without it"),
    ("normlab run configs/mnist_bn.yaml --seed 3 --json", "another seed; the result as JSON"),
    ("normlab norms show batch", "formula, paper, parameters of a method"),
    ("normlab doctor", "what is wrong here, if anything is"),
)


@click.command(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings=CONTEXT,
    invoke_without_command=True,
    examples=EXAMPLES,
)
@click.version_option(__version__, message="normlab %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """The lab bench for normalization in neural networks.

    A spec file says what to train; a run trains it and stores how accurate it became, step by step.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
