"""Let oneDNN compute a convolution and the activation or sum after it in one pass, in graphs of predictions."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from normlab.compat import mxnet

#: What MXNet calls the rewriting, and the feature that its libraries have it with.
_BACKEND = _FEATURE = "MKLDNN"


def fused(graph: Any) -> Any:
    """Rewrite a graph of predictions on a processor; the same values.

    Dense layers stay as they are in networks without convolutions: what follows them is bound by computing, so that a
    pass over memory less gives nothing.

    Args:
        graph: A symbol.

    Returns:
        A symbol with the same outputs.
    """
    before = _operators(graph)
    if not before["Convolution"] or not mxnet().runtime.Features().is_enabled(_FEATURE):
        return graph
    rewritten = graph.optimize_for(_BACKEND)
    # If MXNet was imported without normlab's settings, batch norms get their running statistics, whatever they ask for.
    return rewritten if _operators(rewritten)["BatchNorm"] == before["BatchNorm"] else graph


def _operators(graph: Any) -> Counter[str]:
    return Counter(node["op"] for node in json.loads(graph.tojson())["nodes"])
