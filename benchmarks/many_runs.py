"""Measure the resident memory of a process over many runs of the main job, and its growth after the fifth.

python benchmarks/many_runs.py [RUNS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import normlab

ROOT = Path(__file__).resolve().parent.parent
SETTLED, GOAL = 5, 0.05


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    resident = []
    with tempfile.TemporaryDirectory() as out:
        for seed in range(runs):
            normlab.run(normlab.load_spec(ROOT / "configs" / "mnist_bn.yaml", seed=seed), out=out)
            resident.append(_resident())
            print(f"run {seed + 1}: {resident[-1] / 1e6:.0f} MB", flush=True)
    growth = max(resident[SETTLED:]) / resident[SETTLED - 1] - 1
    print(f"most after run {SETTLED} against after run {SETTLED}: {growth:+.1%}; goal: at most {GOAL:+.0%}")


def _resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
