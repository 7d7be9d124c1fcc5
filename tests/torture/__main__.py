"""Everything that may befall a run, in numbers: `make torture`, about a quarter of an hour.

Prints a line for each promise, and what was broken of it; status 1 if anything was. `python tests/torture 4 8` runs
points 4 and 8 alone.
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
#: Crash points come first: their process is copied a thousand times, which is quick as long as MXNet is not in it.
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
#: Seconds that a part may take; one that hangs is told where.
PATIENCE = 1800


def tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a script that prints


def tallies(module: str, folder: Path):
    """What a part found; should it fail itself, that is broken too."""
    try:
        yield from import_module(module).torture(folder)
    except Exception:  # noqa: BLE001 - the other parts go on
        yield import_module("tally").Tally("parts that come to their end", 1, [traceback.format_exc()])


def count(tally) -> int:
    tell(f"  {tally}")
    for told in tally.broken:
        tell(f"    broken: {told}")
    return len(tally.broken)


def main(chosen: list[str]) -> int:
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
    broken = 0
    begun = time.monotonic()
    tell(f"normlab torture, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for title, module in POINTS.items():
        if chosen and title[0] not in chosen:
            continue
        point = time.monotonic()
        tell(f"\n{title}")
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        with tempfile.TemporaryDirectory(prefix="normlab-torture-") as folder:
            broken += sum(map(count, tallies(module, Path(folder) / "point")))
        faulthandler.cancel_dump_traceback_later()
        tell(f"  ({time.monotonic() - point:.0f} s)")
    tell(f"\n{broken} broken, {time.monotonic() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
