"""The page `docs/gluoncv.md`, written from the list of families; a test holds the two together."""

from __future__ import annotations

from normlab.models.gluoncv.families import FAMILIES, REFUSED, Family

_HEAD = """\
# Networks of GluonCV as hosts of norms

`model: {name: gluoncv, network: cifar_resnet20_v1}` builds a network of GluonCV's model zoo, without pretrained
weights, and puts the chosen norm in the place of each of its batch norms. Every family below is built and trained by
`tests/models/test_gluoncv_families.py`, its first member on images of the size given; a network
that can't take other images says so.

What a norm can do in it depends on the way in which it acts:

- **layer**: at every site. Not in networks that have no norms.
- **over**: at every site, taking the activation over (`replaces_activation`, `needs_activation`). The activation must
  be a block of its own right after the norm; networks that call it inside another block can't host such norms.
- **weight**, initialize, gradient, project: on the weights and gradients of every `Dense` and `Conv`. In all networks.
- **residual**: where a branch meets its shortcut. In no network of GluonCV, which adds the two itself.

The model `resnet` of normlab hosts all of them.

Where a norm brings no shift (beta), such as `none`, the layer before the site gets a bias instead, so that leaving the
norm out takes nothing else away. In networks that put norms before convolutions some sites have no such layer; the run
says which. `gamma_initializer='zeros'` and gamma or beta that are not learned hold for every norm that has them.
Gluon's dropout is replaced by one that follows the mode of normlab's graphs. A block that calls the operators
BatchNorm or Dropout itself is refused; CIFAR WideResNet does call Dropout, but only with a drop rate, and the members
below have none.
"""

_TAIL = """\
## Networks that are refused

| names | reason |
| --- | --- |
"""


def document() -> str:
    """The page, in Markdown."""
    rows = ["| family | networks | tested with | layer | over | weight | residual |", "|" + " --- |" * 7]
    rows += [_row(family) for family in FAMILIES]
    refused = [f"| `{_escaped(pattern)}` | {reason} |" for pattern, reason in REFUSED.items()]
    return "\n".join([_HEAD, *rows, "", _TAIL + "\n".join(refused), ""])


def _row(family: Family) -> str:
    cells = [
        f"{family.title} ({family.paper})",
        ", ".join(f"`{name}`" for name in family.networks),
        f"{family.side}x{family.side}",
        _word(family.has_sites),
        _word(family.replaces_activation),
        "yes",
        "no",
    ]
    return f"| {' | '.join(cells)} |"


def _word(possible: bool) -> str:
    return "yes" if possible else "no"


def _escaped(pattern: str) -> str:
    return pattern.replace("|", "\\|")
