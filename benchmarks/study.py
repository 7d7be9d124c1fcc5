"""Measure the runs per minute of a study with two workers, compared with sequential runs and with PyTorch.

    python benchmarks/study.py --env torch=/path/python           # 8 arms x 5 seeds: over half an hour
    python benchmarks/study.py --env torch=/path/python --seeds 1 # 8 runs of each: some minutes

Each of the two workers has one thread. The number of threads is part of a run's identity, so the same runs one after
the other also have one thread; with the machine to themselves they would have two. PyTorch's program
(`peers/torch_eager.py`) trains as many networks in two processes of one thread each, which is its best setting on two
processors. A ratio is normlab's runs per minute with two workers, divided by the other's. Products of large matrices
(`peers/matrix_peak.py`) show how much faster two processes of one thread are than one, and than one of two threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import machine
from turns import ROOT

ARMS = "none,batch,layer,group:groups=10,rms,l2,dyt,weight_norm"
WORKERS = 2
PEER = ROOT / "benchmarks" / "peers" / "torch_eager.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--env", metavar="torch=PYTHON", help="the interpreter that has PyTorch")
    options = parser.parse_args()
    described = machine.describe()
    runs = len(ARMS.split(",")) * options.seeds
    ways = {f"normlab, {WORKERS} workers": partial(_study, options.seeds, WORKERS)}
    ways["the same, one after the other, one thread"] = partial(_study, options.seeds, 1, threads=1)
    ways["normlab, one after the other, all threads"] = partial(_study, options.seeds, 1)
    if options.env:
        ways["torch_eager, 2 processes"] = partial(_torch, options.env.partition("=")[2], runs)
    rates = {}
    for name, way in ways.items():
        start = time.perf_counter()
        way()
        rates[name] = runs / (time.perf_counter() - start) * 60
        print(f"{name}: {rates[name]:.2f} runs a minute", file=sys.stderr)
    ours = next(iter(rates.values()))
    print(f"{described}\n\n{runs} runs of the main job\n\n| way | runs a minute | ratio |\n| --- | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.2f} | {ours / rate:.2f} |")
    both, one, all_threads = (_products(*way) for way in ((WORKERS, 1), (1, 1), (1, WORKERS)))
    print(
        f"\nLarge products: {WORKERS} processes of one thread {both:.0f} GFLOP/s together, {both / one:.2f} times one "
        f"process of one thread, {both / all_threads:.2f} times one of {WORKERS} threads"
    )
    return 0


def _study(seeds: int, jobs: int, threads: int | None = None) -> None:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "normlab", "compare", "configs/mnist_bn.yaml", "--norms", ARMS]
        command += ["--seeds", str(seeds), "--jobs", str(jobs), "--out", out, "--quiet"]
        subprocess.run(command, cwd=ROOT, check=True, env=_environment(threads))


def _torch(python: str, runs: int) -> None:
    def trained(seed: int) -> None:
        command = [python, str(PEER), "--seed", str(seed), "--json"]
        subprocess.run(command, cwd=ROOT, check=True, env=_environment(1), stdout=subprocess.DEVNULL)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(trained, range(runs)))


def _products(processes: int, threads: int) -> float:
    """Return the total GFLOP/s of processes that multiply large matrices at the same time, the median of five runs."""

    def one(_: int) -> float:
        command = [sys.executable, str(PEER.with_name("matrix_peak.py"))]
        done = subprocess.run(command, cwd=ROOT, check=True, env=_environment(threads), capture_output=True)
        return float(json.loads(done.stdout)["gflops"])

    with ThreadPoolExecutor(processes) as pool:
        return statistics.median(sum(pool.map(one, range(processes))) for _ in range(5))


def _environment(threads: int | None) -> dict[str, str]:
    return {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}


if __name__ == "__main__":
    sys.exit(main())
