"""Measure the time of the main job from the start of its process to the end of its first training step.

python benchmarks/startup.py [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from child import measure

ROOT = Path(__file__).resolve().parent.parent
GOAL = 1.3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as out:
        job = ["run", "configs/mnist_bn.yaml", "--again", "--quiet", "--out", out]
        command = [sys.executable, __file__, "--one", *job]
        measure(command, ROOT)  # fills the system's cache of files
        seconds = sorted(measure(command, ROOT).seconds for _ in range(rounds))
    spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
    print(f"start to the end of the first step, median of {rounds}: {statistics.median(seconds):.2f} s ({spread})")
    print(f"goal: at most {GOAL} s")


def run(arguments: list[str]) -> None:
    """Run `normlab` with these arguments, and exit after the first step."""
    from normlab.cli.process import main as normlab  # noqa: PLC0415 - needed in the child only
    from normlab.experiment import runner  # noqa: PLC0415 - likewise

    trained = runner._Run._trained  # noqa: SLF001 - no public name signals the end of the first step

    def until_stepped(self: Any, session: Any) -> Any:
        steps = session.trainer.steps
        session.trainer.steps = lambda first, last, _: steps(first, last, _leave)
        return trained(self, session)

    runner._Run._trained = until_stepped  # type: ignore[method-assign]  # noqa: SLF001 - likewise
    normlab(arguments)


def _leave(_: int) -> None:
    from normlab.backend.mxnet import mxnet  # noqa: PLC0415 - likewise

    mxnet().nd.waitall()
    os.write(1, b"{}")
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run(sys.argv[2:])
    else:
        main()
