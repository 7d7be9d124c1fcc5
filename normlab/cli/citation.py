"""Methods as entries of a BibTeX file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from normlab.norms.contract import Norm

_SPECIAL = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$"}


def bibtex(norm: Norm) -> str:
    """One entry, or "" for a method without a paper.

    The title is that of the paper where the method says it, else the method's own name.
    """
    if not norm.paper or not norm.authors:
        return ""
    kind, _, number = norm.paper.partition(":")
    fields = {
        "title": f"{{{_escaped(norm.paper_title or norm.summary)}}}",
        "author": _authors(norm.authors),
        "year": str(norm.year) if norm.year else "",
        "booktitle": _escaped(norm.venue),
        "eprint": number if kind == "arXiv" else "",
        "archiveprefix": "arXiv" if kind == "arXiv" else "",
        "doi": number if kind == "doi" else "",
        "url": norm.paper if kind.startswith("http") else "",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{'inproceedings' if norm.venue else 'misc'}{{{key(norm)},", *lines, "}"])


def key(norm: Norm) -> str:
    """First author and year, e.g. `ioffe2015`, and the method's name, which makes it unique."""
    first = re.split(r",| and | et al", norm.authors)[0]
    return re.sub(r"[^a-z0-9_]", "", f"{first.strip().lower()}{norm.year or ''}_{norm.name}")


def bibliography(norms: Iterable[Norm]) -> str:
    """The entries of several methods, a blank line between them."""
    return "\n\n".join(filter(None, map(bibtex, norms)))


def _authors(text: str) -> str:
    names = [name.strip() for name in re.split(r",| and ", text.replace(" et al.", " and others")) if name.strip()]
    return " and ".join(_escaped(name) for name in names)


def _escaped(text: str) -> str:
    return re.sub("[&%_#$]", lambda found: _SPECIAL[found[0]], text)
