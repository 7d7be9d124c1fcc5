"""Write docs/catalogue.md: the reference of every method, and the largest deviation from it.

python tests/reference/table.py
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reference.archive import Header, headers
from reference.rows import ROWS, UNPROVED
from reference.running import deviations

from normlab.catalog.registry import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reference.rows import Row

    from normlab.norms.contract import Norm

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"

_TOP = """\
# The catalogue, and what each method was proved against

Written by `python tests/reference/table.py`; not to be edited.

Each method ran through passes whose inputs, outputs, gradients and states an independent implementation computed
beforehand (`tests/reference/`), compiled, in training and in predict mode. The deviation is the largest difference of
any output, gradient or state, as a share of the largest number in that array. All in float64, but where float32 stands:
there an operator of MXNet's has no float64, or not all of it. NumPy: a second implementation, written from the paper.

"""

_COLUMNS = ("method", "family", "paper", "proved against", "largest deviation", "layouts")


def shipped() -> Mapping[str, Norm]:
    """Return the methods that normlab ships, by name."""
    return catalog(third_party=False).norms.entries


def family(norm: Norm) -> str:
    """Return the folder of the method's file, such as `statistics`; `built in` for those without a plugin."""
    folder = Path(norm.source.file).parent.name
    return "built in" if folder == "norms" else folder


def present(norms: Mapping[str, Norm]) -> list[Row]:
    """Return the rows of methods that exist."""
    return [row for row in ROWS if row.norm in norms]


def proofs(found: Iterable[Header]) -> str:
    """Return the packages with their versions, each once, NumPy last."""
    names = {("NumPy" if each.package == "numpy" else each.package, each.version) for each in found}
    return ", ".join(map(" ".join, sorted(names, key=lambda pair: (pair[0] == "NumPy", pair))))


def lines(norms: Mapping[str, Norm], largest: Mapping[Row, float]) -> list[tuple[str, ...]]:
    """Return a line of the table for each method."""
    known = headers()
    by_norm: dict[str, list[Row]] = defaultdict(list)
    for row in largest:
        by_norm[row.norm].append(row)
    return [_line(norm, by_norm[name], known, largest) for name, norm in sorted(norms.items())]


def _line(norm: Norm, rows: list[Row], known: Mapping[Any, Header], largest: Mapping[Row, float]) -> tuple[str, ...]:
    found = [known[row.source] for row in rows]
    layouts = sorted({each.layout for each in found}, key=("NC", "NCHW", "NTC", "weight", "gradient").index)
    worst = max(rows, key=largest.__getitem__, default=None)
    proved = proofs(found) or f"nothing: {UNPROVED.get(norm.name, 'no case yet')}"
    return (norm.name, family(norm), norm.paper, proved, _format_deviation(worst, largest), ", ".join(layouts))


def _format_deviation(worst: Row | None, largest: Mapping[Row, float]) -> str:
    if worst is None:
        return ""
    return (f"{largest[worst]:.0e}" if largest[worst] else "0") + " (float32)" * (worst.dtype == "float32")


def document(norms: Mapping[str, Norm], largest: Mapping[Row, float]) -> str:
    """Return the whole document.

    Args:
        norms: The methods.
        largest: The largest deviation of each row.
    """
    table = [_COLUMNS, tuple("---" for _ in _COLUMNS), *lines(norms, largest)]
    return _TOP + "".join(f"| {' | '.join(cells)} |\n" for cells in table)


def main() -> None:
    """Run all rows and write the document."""
    norms = shipped()
    largest = {row: max(deviations(norms[row.norm], row).values()) for row in present(norms)}
    DOCUMENT.write_text(document(norms, largest), encoding="utf-8")


if __name__ == "__main__":
    main()
