"""Compare ResNet-20 on 32 x 32 images in normlab with PyTorch in both of its layouts, run in turn.

    python benchmarks/resnet20.py --build                       # builds PyTorch's environment in .venv-bench/
    python benchmarks/resnet20.py --env torch=/path/python      # uses an existing one

The figures are milliseconds of a training step and of a prediction, each the median within a process, then over rounds.
A ratio is normlab's figure divided by PyTorch's in the same round: below 1, normlab is faster.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

import machine
import turns

HERE = Path(__file__).resolve().parent
FIGURES = {"step_ms": "training step, ms", "predict_ms": "prediction, ms"}


def main() -> int:
    options = turns.options(__doc__)
    pythons = turns.pythons(options)
    programs = {"normlab": [sys.executable, str(HERE / "peers" / "normlab_resnet20.py")]}
    if "torch" in pythons:
        for layout in ("nchw", "channels_last"):
            program = str(HERE / "peers" / "torch_resnet20.py")
            programs[f"torch {layout}"] = [pythons["torch"], program, "--layout", layout]
    else:
        print("torch: left out, no environment; use --build or --env torch=PYTHON", file=sys.stderr)
    described = machine.describe()
    runs = turns.run_in_turn(programs, options.rounds)
    if not runs.get("normlab"):
        return 1
    lines = [described, "", "| program | " + " | ".join(FIGURES.values()) + " |", "| --- | ---: | ---: |"]
    for name, measured in runs.items():
        cells = []
        for figure in FIGURES:
            pairs = [(own.result[figure], run.result[figure]) for own, run in zip(runs["normlab"], measured)]
            ratio = median(own / other for own, other in pairs)
            cells.append(
                f"{median(other for _, other in pairs):.1f}" + (f" ({ratio:.2f})" if name != "normlab" else "")
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Versions: " + "; ".join(dict.fromkeys(run[0].result["framework"] for run in runs.values()))]
    print("\n".join(lines))
    if options.results:
        turns.append(options.results, "ResNet-20, batch 128", options.rounds, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
