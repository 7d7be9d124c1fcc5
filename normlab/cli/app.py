"""The command `normlab` itself: the table of its commands, and what its help shows."""

from __future__ import annotations

import click

from normlab.cli.help import CONTEXT
from normlab.cli.lazy import Entry, LazyGroup
from normlab.version import __version__

COMMANDS = {
    "run": Entry("normlab.cli.run:run", "Train what a spec file says and store its accuracy history"),
    "compare": Entry(
        "normlab.cli.compare:compare", "Compare normalization methods, fairly: paired seeds, equal tuning"
    ),
    "runs": Entry("normlab.cli.runs:runs", "List runs, show or remove some"),
    "report": Entry("normlab.cli.report:report", "Compare stored runs, and write the report"),
    "norms": Entry("normlab.cli.norms:norms", "List normalization methods, or show one"),
    "models": Entry("normlab.cli.models:models", "List networks, or show one"),
    "data": Entry("normlab.cli.data:data", "List data sets, fetch and verify their files"),
    "plugins": Entry("normlab.cli.plugins:plugins", "List plugins, what each brings, and why one can't be used"),
    "new": Entry("normlab.cli.new:new", "Write a plugin with a method that works, to be changed into your own"),
    "check": Entry("normlab.cli.check:check", "Prove that normalization methods keep the contract"),
    "bench": Entry("normlab.cli.bench:bench", "Measure what normalization methods cost in a training step"),
    "schema": Entry("normlab.cli.schema:schema", "Print the JSON Schema of spec files, for editors"),
    "doctor": Entry("normlab.cli.doctor:doctor", "Say what is installed, what is wrong and how to mend it"),
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
