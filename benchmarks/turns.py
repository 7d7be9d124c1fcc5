"""Run programs in turn, A B C, C B A, ..., so that no slow moment and no predecessor affects one of them alone."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import environments
from child import Measured, ProgramError, measure

ROOT = Path(__file__).resolve().parent.parent


def options(about: str | None) -> argparse.Namespace:
    """Parse the options of every benchmark: `--rounds --build --envs --env --results`."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", action="store_true", help="build missing environments")
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench", help="folder of the environments")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=PYTHON", help="use this interpreter")
    parser.add_argument("--results", type=Path, metavar="FILE", help="append the table to this Markdown file")
    found = parser.parse_args()
    if found.rounds < 1:
        parser.error("--rounds: at least 1")
    known = environments.names()
    for given in found.env:
        if given.partition("=")[0] not in known or not Path(given.partition("=")[2]).is_file():
            parser.error(f"--env {given}: expected NAME=PYTHON with NAME one of {', '.join(known)}, PYTHON a file")
    return found


def pythons(options: argparse.Namespace) -> dict[str, str]:
    """Return the interpreter of each environment that is given, exists, or could be built."""
    given = dict(text.split("=", 1) for text in options.env)
    for name in environments.names():
        if name in given:
            continue
        if options.build and not environments.is_built(options.envs, name):
            try:
                environments.build(options.envs, name)
            except subprocess.CalledProcessError as error:
                print(f"{name}: no environment, exit status {error.returncode} (see above)", file=sys.stderr)
        if environments.is_built(options.envs, name):
            given[name] = str(environments.python_of(options.envs, name))
    return given


def run_in_turn(programs: dict[str, list[str]], rounds: int) -> dict[str, list[Measured]]:
    """Run all programs in turn, every other round in reverse order, after a round that is not measured.

    A program that fails is reported and left out."""
    runs: dict[str, list[Measured]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name in list(runs) if number % 2 == 0 else reversed(list(runs)):
            try:
                run = _run(programs[name])
            except ProgramError as error:
                print(f"{name}: failed, left out: {error}", file=sys.stderr)
                del runs[name]
                continue
            print(f"round {number}: {name} {run.seconds:.2f} s", file=sys.stderr)
            if number:
                runs[name].append(run)
    return runs


def _run(command: list[str]) -> Measured:
    with tempfile.TemporaryDirectory() as out:
        return measure([*command, out] if command[-1] == "--out" else command, ROOT)


def append(file: Path, what: str, rounds: int, lines: list[str]) -> None:
    """Append a table to a Markdown file, with a heading and the time."""
    now = datetime.now(timezone.utc)
    with file.open("a", encoding="utf-8") as results:
        results.write("\n".join([f"\n## {now:%Y-%m-%d %H:%M} UTC, {what}, medians of {rounds} rounds", "", *lines, ""]))
