"""Draw figures to files and into a page, by two processes where that is safe and faster."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from normlab.report.formatting import printable
from normlab.report.style import COLOURS, FAINT, GRID, INK, figure_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_THREADS = Path("/proc/self/task")


def do_all(jobs: Sequence[Callable[[], object]]) -> None:
    """Do jobs whose effect is in files; every other one in a copy of this process, if that is safe.

    It is safe where this process has one thread only, as in `normlab report`, for a copy has none of the others and
    would wait for ever for a lock that one of them held. Where MXNet is loaded there are others.

    Args:
        jobs: What to do, in any order. What the copy can't do is done again in this process.

    Raises:
        Exception: Whatever a job raises.
    """
    if not _is_safe_to_copy() or len(os.sched_getaffinity(0)) == 1:
        _do(jobs)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    copy = os.fork()
    if copy == 0:
        _do_and_leave(jobs[1::2])
    try:
        _do(jobs[::2])
    finally:
        _, status = os.waitpid(copy, 0)
    if status != 0:
        _do(jobs[1::2])


def _is_safe_to_copy() -> bool:
    return sys.platform == "linux" and _THREADS.is_dir() and len(list(_THREADS.iterdir())) == 1


def _do(jobs: Sequence[Callable[[], object]]) -> None:
    for job in jobs:
        job()


def _do_and_leave(jobs: Sequence[Callable[[], object]]) -> None:
    """Ends this process without what else is done at the end of one, which is the original's to do."""
    status = 1
    try:
        _do(jobs)
        status = 0
    finally:
        os._exit(status)


#: Dots an inch, so that letters are sharp on paper and on dense screens.
_DOTS = 180
#: What stands for each colour in a page: light there, or dark, as the person has chosen.
_VARIABLES = {
    INK: "ink",
    FAINT: "faint",
    GRID: "grid",
    "#ffffff": "paper",
    **{colour: f"series{number}" for number, colour in enumerate(COLOURS[:6])},
}
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_LEFT_OUT = re.compile(r"<(metadata|title|style)\b.*?</\1>", re.DOTALL)
_GROUP = re.compile(r'<g id="[A-Za-z0-9_.]*_\d+">')
_REFERENCE = re.compile(r'(id="|href="#|url\(#)')


class Drawing(NamedTuple):
    """A figure, drawn.

    Attributes:
        name: What its files are called.
        about: What it shows, for readers that don't see it.
        svg: The file.
    """

    name: str
    about: str
    svg: bytes

    @property
    def inline(self) -> str:
        """The figure as an element of a page; its identifiers are its own."""
        text = self.svg.decode()
        text = text[text.index("<svg") :]
        text = _LEFT_OUT.sub("", text)
        # only within tags, so that a label may hold what looks like a colour or an identifier
        text = _TAG.sub(lambda tag: _themed(tag.group(), self.name), text)
        head = f'<svg role="img" aria-label="{_attribute(self.about)}" class="figure" '
        return head + re.sub(r'^<svg (.*?)width="[^"]*"|height="[^"]*pt" ', r"\1", text, count=2)


def draw(figure: Figure, about: str) -> dict[str, bytes]:
    """The files of a figure, by their suffixes: `svg`, whose letters stay letters, and `png`.

    The same figure gives the same bytes.

    Args:
        figure: Made by Matplotlib.
        about: What it shows, in a sentence.
    """
    svg, png = io.BytesIO(), io.BytesIO()
    about = printable(about)
    with figure_style():
        import matplotlib as mpl  # noqa: PLC0415 - costs 0.4 s and is needed for figures only

        with mpl.rc_context({"svg.fonttype": "none"}):
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "normlab", "Title": about})
        about_png = {"Software": "normlab", "Title": about}
        figure.savefig(png, format="png", dpi=_DOTS, metadata=about_png, pil_kwargs={"compress_level": 4})
    return {"svg": svg.getvalue(), "png": png.getvalue()}


def _themed(tag: str, name: str) -> str:
    """A tag with the page's colours and letters, and with identifiers that are this figure's only."""
    tag = _REFERENCE.sub(rf"\g<1>{name}-", _GROUP.sub("<g>", tag))
    tag = _COLOUR.sub(lambda found: f"var(--{_VARIABLES[_known(found.group())]})", tag)
    return tag.replace("'DejaVu Sans'", "var(--letters)")


def _known(colour: str) -> str:
    return next(known for known in _VARIABLES if known.lower() == colour.lower())


def _attribute(text: str) -> str:
    from html import escape  # noqa: PLC0415 - next to its use

    return escape(text, quote=True)
