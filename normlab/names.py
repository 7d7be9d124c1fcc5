"""Names that people type: their form, and the nearest right one to a wrong one."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The form of the names of norms, networks and data sets.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like `name`, or "" if none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: `; did you mean 'batch'?`, or "" if nothing is like it."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
