"""Measure what a hundred installed plugins add to discovery, in processes with and without them, in turn.

python benchmarks/discovery.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "catalog")]

from plugin_support import distribution  # noqa: E402 - the tests' folder must be on the path
from test_discovery_of_many import PLUGINS, TEXT, discovery  # noqa: E402 - likewise


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for number in range(PLUGINS):
            distribution(path, f"dist-{number}", {f"norm_{number}": TEXT.replace("NAME", f"norm_{number}")})
        discovery(path)  # compiles them, as pip does at installation
        pairs = [(discovery()[0], discovery(path)[0]) for _ in range(rounds)]
    before, after = (statistics.median(column) for column in zip(*pairs))
    print(f"processor time of discovery, median of {rounds}: {before:.0f} ms, with {PLUGINS} plugins {after:.0f} ms")
    print(f"added: {after - before:.0f} ms; goal: at most 150 ms")


if __name__ == "__main__":
    main()
