"""Run the code of a Markdown page in the order of a reader."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from cli_tools import ROOT, environment

_BLOCK = re.compile(r"^```(\w+)(?: title=\"(.*?)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code.

    Attributes:
        language: The language after the opening fence.
        title: The file that it shows, or "".
        text: Its content.
        line: Its first line in the page.
    """

    language: str
    title: str
    text: str
    line: int


def blocks(page):
    """Return all blocks of a page."""
    text = Path(page).read_text(encoding="utf-8")
    return [
        Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def commands(block):
    """Return each command of a console block with the output that the page shows."""
    found = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


def matches(shown, given):
    """Return whether an output is the one on the page, where `...` matches anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, given.strip(), re.DOTALL) is not None


class Reader:
    """Follows a page in a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder):
        self.folder = folder
        tools = folder / ".tools"
        tools.mkdir()
        (tools / "normlab").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m normlab "$@"\n', encoding="utf-8")
        (tools / "normlab").chmod(0o755)
        self._environment = environment()
        self._environment["PATH"] = f"{tools}:{self._environment['PATH']}"

    def follow(self, block):
        """Write the file that a block shows, or compare it with the existing one; or run the block."""
        file = self.folder / block.title
        if block.title and file.exists():
            same = block.text == file.read_text(encoding="utf-8")
            assert same, f"line {block.line}: {block.title} holds something else"
        elif block.title:
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self._run([sys.executable, "-c", block.text], block)
        elif block.language == "console":
            for command, shown in commands(block):
                given = self._run(["sh", "-c", command], block)
                assert matches(shown, given), f"line {block.line}: `{command}` gives\n{given}"

    def _run(self, command, block):
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout, f"line {block.line}: {done.stdout}"
        return done.stdout


PAGES = ROOT / "docs"
