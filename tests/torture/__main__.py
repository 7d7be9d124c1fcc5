"""Stress tests of the promises in docs/reliability.md, run by `make torture`; they take about 15 minutes.

Print one line for each promise and one for each failure; the exit status is 1 if there is any failure.
`python tests/torture 4 8` runs points 4 and 8 only.
"""

from __future__ import annotations

import faulthandler
import platform
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Crash points come first: they fork the process about a thousand times, which is fast until MXNet is loaded.
POINTS = {
    "2 Kills: crash points": "crash_points",
    "1 Exact resume": "resuming",
    "2 Kills: SIGKILL": "kills",
    "3 Disk full, no permission, broken pipe": "full_disk",
    "4 Corruption": "corruption",
    "5 Divergence": "diverging",
    "6 Concurrency": "concurrency",
    "7 Hostile input": "hostile",
    "8 Signals": "signals",
    "9 Exit statuses": "statuses",
}
#: Seconds that a point may take; after that, print where it hangs and exit.
TIMEOUT = 1800


def write(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a script that prints


def run_point(module: str, folder: Path):
    """Yield the tallies of a point; an exception in it counts as a failure."""
    try:
        yield from import_module(module).torture(folder)
    except Exception:  # noqa: BLE001 - run the other points nevertheless
        yield import_module("tally").Tally("points that run to their end", 1, [traceback.format_exc()])


def report(tally) -> int:
    """Print a tally, and return its number of failures."""
    write(f"  {tally}")
    for message in tally.broken:
        write(f"    broken: {message}")
    return len(tally.broken)


def main(chosen: list[str]) -> int:
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
    broken = 0
    begun = time.monotonic()
    write(f"normlab torture, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for title, module in POINTS.items():
        if chosen and title[0] not in chosen:
            continue
        point = time.monotonic()
        write(f"\n{title}")
        faulthandler.dump_traceback_later(TIMEOUT, exit=True)
        with tempfile.TemporaryDirectory(prefix="normlab-torture-") as folder:
            broken += sum(map(report, run_point(module, Path(folder) / "point")))
        faulthandler.cancel_dump_traceback_later()
        write(f"  ({time.monotonic() - point:.0f} s)")
    write(f"\n{broken} broken, {time.monotonic() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
