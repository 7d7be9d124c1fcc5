"""Compute all stored cases again, each generator in an environment built for it.

    python3.11 tests/reference/generate.py [--into FOLDER] [GENERATOR ...]

Run by hand; the tests read the stored cases. It needs about 4 GB of disk and a Python for which all packages in
requirements/ have wheels (3.11). Generators are the modules in generators/ that are named in ENVIRONMENTS or start with
numpy_. Without names, all of them run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements"

#: The environment of each generator; those that use only NumPy share one.
ENVIRONMENTS = {
    "torch": "torch",
    "timm": "torch",
    "x_transformers": "torch",
    "pytorch_tabnet": "torch",
    "flax": "jax",
    "optax": "jax",
    "tf_keras": "tensorflow",
    "chainer": "chainer",
    **{file.stem: "numpy" for file in sorted((HERE / "generators").glob("numpy_*.py")) if file.stem != "numpy_case"},
}

#: One thread, on the CPU, with little output, for all packages.
QUIET = {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def build(folder: Path, name: str) -> Path:
    """Build an environment unless it exists with the same requirements, and return its interpreter."""
    files = [file for file in (REQUIREMENTS / f"{name}.txt", REQUIREMENTS / f"{name}-alone.txt") if file.exists()]
    wanted, stamp = "".join(file.read_text(encoding="utf-8") for file in files), folder / name / "installed.txt"
    python = folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / name)], check=True)
    for file in files:
        alone = ["--no-deps", "--no-build-isolation"] if file.stem.endswith("-alone") else []
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *alone, "-r", str(file)], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def main() -> None:
    """Build the environments and run the generators."""
    parser = argparse.ArgumentParser(description="Compute the stored reference cases again.")
    # Python 3.11 also checks the empty list against the choices
    parser.add_argument("generators", nargs="*", metavar="GENERATOR", choices=[*ENVIRONMENTS, []])
    parser.add_argument("--into", type=Path, default=Path(".venv-reference"), help="folder of the environments")
    arguments = parser.parse_args()
    folder = arguments.into.resolve()
    for name in arguments.generators or ENVIRONMENTS:
        python = build(folder, ENVIRONMENTS[name])
        # as a module of the parent folder, so that generators/torch.py does not hide torch
        command = [str(python), "-m", f"reference.generators.{name}"]
        subprocess.run(command, check=True, cwd=HERE.parent, env={**os.environ, **QUIET})
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
