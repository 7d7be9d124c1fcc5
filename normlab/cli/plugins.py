"""`normlab plugins`: which plugins there are, where each came from, what it brings, and why one can't be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.views import output
from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.catalog.plugin_record import PluginRecord

EXAMPLES = (
    ("normlab plugins", "installed plugins, and what is wrong with any"),
    ("normlab plugins --all", "those that come with normlab too"),
    ("normlab plugins --plugin my_norm.py", "a file of your own"),
    ("NORMLAB_PLUGINS=normlab-my-norm normlab plugins", "with this distribution alone"),
    ("normlab plugins --json | jq '.plugins[].status'", "for a program"),
)

#: What each hook brings, in a word.
WORDS = {"normlab_norms": "norms", "normlab_models": "models", "normlab_datasets": "data sets"}

COLOURS = {"ok": "green", "disabled": "yellow"}


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.option("--all", "everything", is_flag=True, help="List plugins that come with normlab too.")
@options.plugins
@options.as_json("the list, of all plugins,")
@options.debug
def plugins(everything: bool, plugins: tuple[str, ...], no_plugins: bool, as_json: bool) -> int:
    """List plugins, what each adds, and why one can't be used.

    A plugin is a module with hooks: in a distribution with an entry point of the group normlab, or a file that --plugin
    or a spec names. One that can't be used costs only itself. The environment variable NORMLAB_PLUGINS names the
    distributions or entry points to be loaded, with commas between them; empty, it is the same as --no-plugins.
    The exit status is 4 if a file that was named with --plugin can't be used.
    """
    from normlab.catalog import catalog

    records = catalog(plugins, third_party=not no_plugins).plugins
    if as_json:
        output.print_json({"plugins": [as_dict(record) for record in records]})
    else:
        click.echo("\n".join(_lines(records, everything=everything)))
    refused = any(record.explicit and record.unusable for record in records)
    return ExitStatus.PLUGIN if refused else ExitStatus.DONE


def as_dict(record: PluginRecord) -> dict[str, Any]:
    """A plugin as an object for a program."""
    return {
        "name": record.name,
        "status": record.status,
        "reason": record.reason,
        "remark": record.remark,
        "distribution": record.distribution,
        "version": record.version,
        "file": record.file,
        "explicit": record.explicit,
        "hooks": list(record.hooks),
        "brings": {hook: list(names) for hook, names in record.brings.items()},
    }


def _lines(records: Sequence[PluginRecord], *, everything: bool) -> list[str]:
    shown = [record for record in records if everything or record.explicit or not _is_quiet(record)]
    lines = [line for record in shown for line in _entry(record)]
    hidden = [record for record in records if record not in shown]
    if hidden:
        lines.append(f"{hidden[0].origin} brings {len(hidden)} of its own, all ok; normlab plugins --all lists them")
    return [*lines, "what a method is: normlab norms show NAME; to write one: normlab new NAME"]


def _is_quiet(record: PluginRecord) -> bool:
    """Whether there is nothing to say of a plugin that comes with normlab."""
    return record.distribution == "normlab" and not record.unusable and not record.remark


def _entry(record: PluginRecord) -> list[str]:
    """A plugin in some lines: what it is called and whether it can be used, then what is known of it."""
    origin = " ".join(filter(None, [record.distribution, record.version]))
    brings = "; ".join(f"{WORDS[hook]} {', '.join(names)}" for hook, names in record.brings.items())
    facts = [
        ("from", origin),
        ("file", record.file),
        ("hooks", ", ".join(record.hooks)),
        ("brings", brings),
        ("reason", record.reason),
        ("remark", record.remark),
    ]
    status = click.style(record.status, fg=COLOURS.get(record.status, "red"))
    return [
        f"{click.style(record.name, bold=True)}: {status}",
        *output.columns([(f"  {name}", value) for name, value in facts if value]),
        "",
    ]
