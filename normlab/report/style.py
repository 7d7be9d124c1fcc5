"""How every figure of normlab looks: readable in grey, by the colour-blind, and the same in every file.

Colours are those of Okabe and Ito (Color Universal Design, 2008), whose differences survive the common kinds of colour
blindness; dashes and markers differ as well, so that nothing is told by colour alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from normlab.report.formatting import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: dict[str, str | tuple[int, tuple[float, ...]]] = {
    "test": "solid",
    "train": (0, (5, 2)),
    "validation": (0, (1, 1.4)),
}
"""Dash pattern of each split: the one that counts is drawn through."""

INK, FAINT, GRID = "#222222", "#5a5a5a", "#e4e4e4"

_FONT = "DejaVu Sans"  # comes with Matplotlib, so it is on every machine

_RC = {
    "font.family": _FONT,
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "svg.fonttype": "path",  # letters as outlines: the same in every viewer
    "svg.hashsalt": "normlab",  # identifiers in the file depend on its content only
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Within it Matplotlib draws in this style, whatever the person's own settings say; again inside it is free."""
    if _within.get():
        yield
        return
    token = _within.set(True)
    try:
        with _style():
            yield
    finally:
        _within.reset(token)


_within: ContextVar[bool] = ContextVar("within figure_style", default=False)


@contextmanager
def _style() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        # that of Python 3.9 uses names which pyparsing has since renamed
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="matplotlib")
        import matplotlib as mpl  # noqa: PLC0415 - costs 0.4 s and is needed for figures only

        warnings.filterwarnings("ignore", category=mpl.MatplotlibDeprecationWarning)
        # not mpl.rcdefaults: that reads all style sheets, which takes 20 ms
        defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
        with mpl.rc_context({**defaults, **_RC}):
            yield


def show_literally(figure: Figure) -> None:
    """Makes every text of the figure appear as it is: names with dollar signs are no formulas."""
    from matplotlib.text import Text  # noqa: PLC0415 - as above

    for text in figure.findobj(Text):
        text.set_parse_math(False)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Inches that a text takes, in this style's letters of so many points."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - as above
    from matplotlib.textpath import text_to_path  # noqa: PLC0415 - as above

    letters = FontProperties(family=_FONT, size=size, weight=weight)
    width: float = text_to_path.get_text_width_height_descent(text, letters, ismath=False)[0]
    return width / 72


def svg_bytes(figure: Figure, title: str) -> bytes:
    """The figure as an SVG file; the same figure gives the same bytes.

    Args:
        figure: drawn by Matplotlib.
        title: for screen readers.
    """
    buffer = io.BytesIO()
    with figure_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "normlab", "Title": printable(title)})
    return buffer.getvalue()


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels, as near to the wanted ones as a smallest gap between them allows (least squares).

    Args:
        wanted: where each label should be, in any order.
        gap: smallest distance between two.
        low: the lowest place allowed.
        high: the highest place allowed; passed only where all gaps don't fit below it.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    pools: list[tuple[float, int]] = []  # of labels that touch: mean place of the first, how many
    for rank, index in enumerate(order):
        pool, size = wanted[index] - rank * gap, 1
        while pools and pools[-1][0] > pool:
            before, count = pools.pop()
            pool, size = (before * count + pool * size) / (count + size), count + size
        pools.append((pool, size))
    firsts = [pool for pool, size in pools for _ in range(size)]
    top = max(low, high - (len(wanted) - 1) * gap)
    places = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        places[index] = min(max(firsts[rank], low), top) + rank * gap
    return places
