"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from cli_tools import ROOT, normlab

import normlab as package
from normlab.cli.app import COMMANDS, root
from normlab.spec import load_spec, parse_spec

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)\n```", README, re.DOTALL)
TINY = [
    "-s", "dataset={name: synthetic, shape: [1, 4, 4], classes: 4, train: 64, validation: 16, test: 32}",
    "-s", "training={steps: 4, batch_size: 16}",
    "-s", "evaluation.every=2",
]  # fmt: skip


def block(language, text):
    """The one block of this language that has `text` in it."""
    found = [content for kind, content in BLOCKS if kind == language and text in content]
    assert len(found) == 1
    return found[0]


def typed():
    """Every normlab command that the README shows, as words."""
    for kind, content in BLOCKS:
        if kind == "console":
            yield from (shlex.split(line[2:]) for line in content.splitlines() if line.startswith("$ normlab "))


@pytest.fixture
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_command_shown_exists_with_its_options():
    shown = list(typed())
    assert len(shown) >= 3
    for _, *words in shown:
        name, command, rest = root.resolve_command(click.Context(root), words)
        command.make_context(name, rest)


def test_table_of_commands_is_complete_and_its_options_exist():
    rows = re.findall(r"^\| `normlab (\w+)[^`]*` \| (.*) \|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == list(COMMANDS)
    for name, cell in rows:
        options = {option for parameter in COMMANDS[name].load().params for option in parameter.opts}
        assert set(re.findall(r"`(--?[\w-]+)", cell)) <= options, name


def test_spec_shown_is_the_shipped_one():
    shown = parse_spec(block("yaml", "norm:"), str(ROOT / "configs" / "mnist_bn.yaml"))
    assert shown.dump() == load_spec(ROOT / "configs" / "mnist_bn.yaml").dump()


@pytest.mark.usefixtures("at_root")
def test_mistake_shown_is_told_like_this(capsys):
    command, *answer = block("console", "epsilno").splitlines()
    ended = normlab(capsys, *shlex.split(command)[2:])
    assert (ended.status, ended.err.splitlines()) == (2, answer)


def test_output_shown_has_the_form_of_a_runs(capsys, tmp_path):
    form = re.compile(r"\d+|\s+|-+")
    ended = normlab(capsys, "run", ROOT / "configs" / "mnist_bn.yaml", "--out", tmp_path / "runs", *TINY)

    def shape(line):
        return form.sub("", line.replace(f"{tmp_path}/", "").partition("batch-s")[0])

    lines = {shape(line) for line in ended.out.splitlines()}
    shown = block("console", "Step 20,").splitlines()[1:]
    assert {shape(line) for line in shown if line != "..."} <= lines


@pytest.mark.usefixtures("at_root")
def test_plugin_shown_is_listed_and_trains(capsys, tmp_path):
    (tmp_path / "my_rms.py").write_text(block("python", "class MyRMS") + "\n", encoding="utf-8")
    shown = [words[1:] for words in typed() if "my_rms.py" in words]
    assert [words[0] for words in shown] == ["check", "norms", "run"]
    for words in shown:
        words[words.index("my_rms.py")] = str(tmp_path / "my_rms.py")
        further = [*TINY, "--out", str(tmp_path / "runs")] if words[0] == "run" else []
        ended = normlab(capsys, *words, *further)
        assert ended.status == 0, ended.err


@pytest.mark.usefixtures("at_root")
def test_python_shown_runs(tmp_path, monkeypatch):
    program = block("python", "import normlab\n")
    small = [setting for setting in TINY if setting != "-s"]

    def quick(path, overrides, seed):
        return load_spec(path, [*overrides, *small], seed=seed)

    whole = package.run
    monkeypatch.setattr(package, "load_spec", quick)
    monkeypatch.setattr(package, "run", lambda spec: whole(spec, out=tmp_path))
    variables = {}
    exec(program, variables)  # noqa: S102 - our own README
    assert variables["history"].steps == [2, 4]


def test_files_and_tests_that_are_named_exist():
    for name in re.findall(r"`((?:tests|normlab|configs|docs)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_dependency_is_listed_with_its_purpose():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    needed = text.partition("install_requires =")[2].partition("[options.extras_require]")[0]
    names = {line.split()[0].rstrip(";") for line in needed.splitlines() if line.strip() and "#" not in line.split()[0]}
    table = README.partition("## Dependencies")[2]
    for name in names:
        assert re.search(rf"^\| .*\b{name}\b.* \| .+ \|$", table, re.MULTILINE), name
