from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from cli_tools import ROOT, environment, normlab, process

from normlab.cli.app import COMMANDS, root
from normlab.version import __version__

#: None of these may be imported for help or completion: together they cost more than a second.
HEAVY = {
    "mxnet", "gluoncv", "numpy", "scipy", "pandas", "matplotlib", "pydantic", "yaml", "rich", "jinja2", "pluggy",
    "pooch", "filelock", "platformdirs", "importlib.metadata",
}  # fmt: skip


def imported(*arguments, **changes):
    """The modules that a `normlab` process has imported when it ends."""
    text = "import atexit, json, sys; atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))"
    command = [sys.executable, "-c", f"{text}\nfrom normlab.cli import main\nmain({list(arguments)!r})"]
    done = subprocess.run(command, env=environment(**changes), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def every_command(group=root, words=()):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))


COMMAND_WORDS = [words for words, _ in every_command()]


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], [], ["run", "--help"], ["--version"], ["completion", "-h"]])
def test_help_imports_no_heavy_library(arguments):
    assert not HEAVY & imported(*arguments)


@pytest.mark.parametrize(
    ("words", "expected"), [("normlab ", "run"), ("normlab ru", "run"), ("normlab run --se", "--seed")]
)
def test_completion_imports_no_heavy_library_and_completes(words, expected):
    words_of_shell = {"_NORMLAB_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert f"plain,{expected}" in process(**words_of_shell).out.splitlines()
    assert not HEAVY & imported(**words_of_shell)


def test_completion_of_commands_imports_none_of_them():
    words_of_shell = {"_NORMLAB_COMPLETE": "bash_complete", "COMP_WORDS": "normlab ", "COMP_CWORD": "1"}
    commands = {entry.target.partition(":")[0] for entry in COMMANDS.values()}
    assert not commands & imported(**words_of_shell)


def test_help_costs_little():
    # The goal is 100 ms on an idle machine (median of 10), seven times a bare Python there. Other tests run beside
    # this one, so both are measured here, in seconds of the processor.
    def seconds(*arguments):
        child = subprocess.Popen([sys.executable, *arguments], env=environment(), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return usage.ru_utime + usage.ru_stime

    pairs = [(seconds("-m", "normlab", "--help"), seconds("-c", "pass")) for _ in range(7)]
    ours, bare = (min(column) for column in zip(*pairs))
    assert ours < 7 * bare


def test_bare_command_and_both_help_options_are_the_same(capsys):
    bare = normlab(capsys)
    assert bare == normlab(capsys, "-h") == normlab(capsys, "--help")
    assert bare.status == 0
    assert "normlab run configs/mnist_bn.yaml" in bare.out


@pytest.mark.parametrize("words", COMMAND_WORDS, ids=" ".join)
def test_every_command_has_help_by_both_options(capsys, words):
    long = normlab(capsys, *words, "--help")
    assert long.status == 0
    assert long.out.startswith(f"Usage: normlab {' '.join(words)} ")
    assert long == normlab(capsys, *words, "-h")


@pytest.mark.parametrize("words", COMMAND_WORDS, ids=" ".join)
def test_help_of_every_command_shows_examples_and_debug(capsys, words):
    text = normlab(capsys, *words, "--help").out
    assert "Examples:" in text
    assert f"normlab {' '.join(words)}" in text.partition("Examples:")[2]
    assert "--debug" in text


def test_help_lists_each_command_with_a_line_that_fits():
    for name, entry in COMMANDS.items():
        assert len(name) + len(entry.summary) < 76, name
        assert not entry.summary.endswith("."), name


@pytest.mark.parametrize("name", list(COMMANDS))
def test_line_in_the_list_is_the_first_sentence_of_the_commands_own_help(name):
    entry = COMMANDS[name]
    first = entry.load().help.split("\n\n")[0].rstrip(".").replace("SPEC", "a spec file").replace(" NAME", "")
    assert " ".join(first.split()) == entry.summary


def test_version_is_that_of_the_package(capsys):
    assert normlab(capsys, "--version").out == f"normlab {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["norms", "shwo"], "did you mean 'show'?"),
        (["frobnicate"], "expected one of run, compare"),
        (["run", "--sed", "1", "x.yaml"], "--seed"),
        (["completion", "bsh"], "is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_typos_are_answered_with_what_was_meant(capsys, arguments, advice):
    ended = normlab(capsys, *arguments)
    assert ended.status == 2
    assert advice in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_normlab_back(capsys, shell):
    ended = normlab(capsys, "completion", shell)
    assert ended.status == 0
    assert f"_NORMLAB_COMPLETE={shell}_complete" in ended.out


def test_bash_takes_the_completion_script(capsys):
    script = normlab(capsys, "completion", "bash").out
    done = subprocess.run(["bash", "-c", f"{script}\ncomplete -p normlab"], capture_output=True, text=True, check=True)
    assert "-F _normlab_completion normlab" in done.stdout


def test_python_m_normlab_is_normlab():
    assert process("--version").out.startswith("normlab ")
    assert (ROOT / "setup.cfg").read_text().count("normlab = normlab.cli:main") == 1
