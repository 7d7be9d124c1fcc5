"""No normalization: the control.

y = x, in training and in prediction. Networks give the layer before the site a bias, which other methods' beta makes
superfluous, so that leaving the norm out takes nothing else away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from normlab import Norm, NormLayer, hookimpl


class Identity(NormLayer):
    """Pass activations on unchanged: any shape in, the same shape out, no parameters."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Return x."""
        return F.identity(x)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `none`."""
    yield Norm("none", layer=Identity, title="No normalization", formula="y = x")
