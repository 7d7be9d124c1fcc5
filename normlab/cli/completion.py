"""`normlab completion`: the script with which a shell completes commands, options and files."""

from __future__ import annotations

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples

SHELLS = ("bash", "zsh", "fish")

EXAMPLES = (
    ('eval "$(normlab completion bash)"', "in ~/.bashrc"),
    ('eval "$(normlab completion zsh)"', "in ~/.zshrc"),
    ("normlab completion fish | source", "in ~/.config/fish/config.fish"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
@options.debug
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell.

    Put the line of the examples into the start-up file of your shell.
    """
    from click.shell_completion import get_completion_class

    from normlab.cli.process import COMPLETION_VARIABLE

    script = get_completion_class(shell)
    if script is not None:  # click knows all of SHELLS
        click.echo(script(context.find_root().command, {}, "normlab", COMPLETION_VARIABLE).source())
