"""Check the cost of norms against a limit: forward and backward pass relative to MXNet's BatchNorm operator.

    python benchmarks/layers.py                                        # the norms with a limit, at two shapes
    python benchmarks/layers.py --norms batch,frn,layer:over=channels --shapes 128x64x8x8 --rounds 50

It measures as `normlab bench` does. Exit status 1 if a norm costs more than the limit times the operator.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.catalog import catalog
from normlab.cli.views.bench_view import measure, print_json, print_tables
from normlab.conformance.cost_subjects import MethodToMeasure

if TYPE_CHECKING:
    from normlab.catalog import Catalog

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"
# small enough for any number of channels
DEFAULTS = {"group": {"group_size": 4}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--norms", default="batch,group,instance,layer,rms", help="names; name:key=value+key=value sets parameters"
    )
    parser.add_argument("--shapes", default="64x16x32x32,128x16x32x32", help="shapes, N x C or N x C x H x W")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--limit", type=float, default=2.0, help="the largest cost, as a multiple of the operator")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    known = find_norms()
    methods = [parse_method(known, text) for text in options.norms.split(",")]
    shapes = [tuple(int(size) for size in text.split("x")) for text in options.shapes.split(",")]
    tables = measure(methods, shapes, options.rounds)
    (print_json if options.json else print_tables)(tables, options.rounds)
    costs = [cost for table in tables for cost in table.costs]
    return int(any(cost.ratio is None or cost.ratio > options.limit for cost in costs))


def find_norms() -> Catalog:
    """Return the installed norms, or those of this checkout if none are installed."""
    known = catalog()
    if "group" in known.norms.entries:
        return known
    return catalog([str(file) for file in PLUGINS.glob("*/*.py") if not file.name.startswith("_")])


def parse_method(known: Catalog, text: str) -> MethodToMeasure:
    name, _, given = text.partition(":")
    parameters = dict(_parameter(pair) for pair in given.split("+")) if given else {}
    return MethodToMeasure(text, known.norms.get(name), {**DEFAULTS.get(name, {}), **parameters})


def _parameter(pair: str) -> tuple[str, Any]:
    key, _, value = pair.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


if __name__ == "__main__":
    sys.exit(main())
