"""The families of GluonCV's model zoo, and the kinds of norm that each can host."""

from __future__ import annotations

import re
from dataclasses import dataclass

from normlab.errors import SpecError, nearest


@dataclass(frozen=True)
class Family:
    """Networks of one design, which can host the same kinds of norm.

    Attributes:
        title: Name of the family.
        networks: Names of its members, the smallest first.
        side: Rows and columns of the tested images; most networks also accept larger ones.
        paper: The paper that describes it.
        has_sites: Whether it has norms that can be replaced.
        replaces_activation: Whether a norm can take over the activation, which must be a block of its own.
    """

    title: str
    networks: tuple[str, ...]
    side: int
    paper: str
    has_sites: bool = True
    replaces_activation: bool = True


def _family(title: str, networks: str, side: int, paper: str, **hosts: bool) -> Family:
    return Family(title, tuple(networks.split()), side, paper, **hosts)


FAMILIES = (
    _family("CIFAR ResNet v1", "cifar_resnet20_v1 cifar_resnet56_v1 cifar_resnet110_v1", 32, "arXiv:1512.03385"),
    _family(
        "CIFAR ResNet v2",
        "cifar_resnet20_v2 cifar_resnet56_v2 cifar_resnet110_v2",
        32,
        "arXiv:1603.05027",
        replaces_activation=False,
    ),
    _family(
        "CIFAR WideResNet",
        "cifar_wideresnet16_10 cifar_wideresnet28_10 cifar_wideresnet40_8",
        32,
        "arXiv:1605.07146",
        replaces_activation=False,
    ),
    _family("CIFAR ResNeXt", "cifar_resnext29_32x4d cifar_resnext29_16x64d", 32, "arXiv:1611.05431"),
    _family(
        "CIFAR residual attention",
        "cifar_residualattentionnet56 cifar_residualattentionnet92 cifar_residualattentionnet452",
        32,
        "arXiv:1704.06904",
        replaces_activation=False,
    ),
    _family("ResNet v1", "resnet18_v1 resnet34_v1 resnet50_v1 resnet101_v1 resnet152_v1", 32, "arXiv:1512.03385"),
    _family(
        "ResNet v2",
        "resnet18_v2 resnet34_v2 resnet50_v2 resnet101_v2 resnet152_v2",
        32,
        "arXiv:1603.05027",
        replaces_activation=False,
    ),
    _family(
        "ResNet v1b to v1s",
        "resnet18_v1b resnet34_v1b resnet50_v1b resnet101_v1b resnet152_v1b resnet50_v1c resnet101_v1c resnet152_v1c "
        "resnet50_v1d resnet101_v1d resnet152_v1d resnet50_v1e resnet101_v1e resnet152_v1e "
        "resnet50_v1s resnet101_v1s resnet152_v1s",
        32,
        "arXiv:1812.01187",
    ),
    _family(
        "SE-ResNet v1",
        "se_resnet18_v1 se_resnet34_v1 se_resnet50_v1 se_resnet101_v1 se_resnet152_v1",
        32,
        "arXiv:1709.01507",
    ),
    _family(
        "SE-ResNet v2",
        "se_resnet18_v2 se_resnet34_v2 se_resnet50_v2 se_resnet101_v2 se_resnet152_v2",
        32,
        "arXiv:1709.01507",
        replaces_activation=False,
    ),
    _family(
        "ResNeXt, SE-ResNeXt",
        "resnext50_32x4d resnext101_32x4d resnext101_64x4d resnext101e_64x4d "
        "se_resnext50_32x4d se_resnext101_32x4d se_resnext101_64x4d se_resnext101e_64x4d",
        32,
        "arXiv:1611.05431",
    ),
    _family("SENet-154", "senet_154e senet_154", 32, "arXiv:1709.01507"),
    _family("ResNeSt", "resnest14 resnest26 resnest50 resnest101 resnest200 resnest269", 32, "arXiv:2004.08955"),
    _family(
        "residual attention",
        "residualattentionnet56 residualattentionnet92 residualattentionnet128 residualattentionnet164 "
        "residualattentionnet200 residualattentionnet236 residualattentionnet452",
        224,
        "arXiv:1704.06904",
        replaces_activation=False,
    ),
    _family("VGG with norms", "vgg11_bn vgg13_bn vgg16_bn vgg19_bn", 32, "arXiv:1409.1556"),
    _family("VGG", "vgg11 vgg13 vgg16 vgg19", 32, "arXiv:1409.1556", has_sites=False, replaces_activation=False),
    _family("AlexNet", "alexnet", 224, "arXiv:1404.5997", has_sites=False, replaces_activation=False),
    _family(
        "SqueezeNet",
        "squeezenet1.1 squeezenet1.0",
        224,
        "arXiv:1602.07360",
        has_sites=False,
        replaces_activation=False,
    ),
    _family("DenseNet", "densenet121 densenet161 densenet169 densenet201", 224, "arXiv:1608.06993"),
    _family("GoogLeNet", "googlenet", 224, "arXiv:1409.4842"),
    _family("Inception v3", "inceptionv3", 299, "arXiv:1512.00567"),
    _family("Xception", "xception xception71", 32, "arXiv:1610.02357", replaces_activation=False),
    _family("ShuffleNet", "shufflenet_v1 shufflenet_v2", 32, "arXiv:1707.01083"),
    _family("MobileNet", "mobilenet0.25 mobilenet0.5 mobilenet0.75 mobilenet1.0", 32, "arXiv:1704.04861"),
    _family(
        "MobileNet v2",
        "mobilenetv2_0.25 mobilenetv2_0.5 mobilenetv2_0.75 mobilenetv2_1.0",
        32,
        "arXiv:1801.04381",
    ),
    _family("MobileNet v3", "mobilenetv3_small mobilenetv3_large", 32, "arXiv:1905.02244"),
    _family("DarkNet", "darknet53", 32, "arXiv:1804.02767"),
    _family("DLA", "dla34", 32, "arXiv:1707.06484", replaces_activation=False),
    _family(
        "HRNet",
        "hrnet_w18_small_v1_c hrnet_w18_small_v2_c hrnet_w18_c hrnet_w30_c hrnet_w32_c hrnet_w40_c hrnet_w44_c "
        "hrnet_w48_c hrnet_w64_c",
        32,
        "arXiv:1908.07919",
        replaces_activation=False,
    ),
)

#: Patterns of names of networks that can't be used, each with the reason.
REFUSED = {
    r".*_int8": "its weights are fixed integers, which can't be trained",
    r"resnet\d+_v1[bd]_0\.\d+": "its shapes are those of a pruned network with 1000 classes",
    r"resnet\d+_v1b_gn": "it has group norms of its own; choose resnet50_v1b with `norm: group`",
    r"nasnet_.*": "MXNet can't run it on a CPU, and it has a second output",
    r"(ssd|faster_rcnn|mask_rcnn|doublehead_rcnn|custom_faster_rcnn|custom_mask_rcnn|yolo3|center_net)_.*": (
        "it detects objects; normlab trains classifiers"
    ),
    r"(fcn|psp|deeplab|icnet|fastscnn|danet)_.*|hrnet_.*_s": "it segments images; normlab trains classifiers",
    r"(mobile_pose|simple_pose|alpha_pose)_.*": "it estimates poses; normlab trains classifiers",
    r"(siamrpn|monodepth2)_.*": "it tracks objects or estimates depth; normlab trains classifiers",
    r"(c3d|p3d|r2plus1d|i3d|slowfast)_.*|.*_(ucf101|hmdb51|kinetics400|kinetics700|sthsthv2|custom)": (
        "it classifies videos; normlab trains classifiers of images"
    ),
}


def family_of(network: str) -> Family:
    """Return the family of a network.

    Args:
        network: Name of the network in the model zoo.

    Raises:
        SpecError: There is no such network, or normlab can't train it.
    """
    for family in FAMILIES:
        if network in family.networks:
            return family
    for pattern, reason in REFUSED.items():
        if re.fullmatch(pattern, network):
            raise SpecError(f"network {network}: {reason}")
    near = nearest(network, [name for family in FAMILIES for name in family.networks])
    advice = f"did you mean {near!r}?" if near else "docs/gluoncv.md lists the networks that can be used"
    raise SpecError(f"network: GluonCV has no network {network!r} that normlab can train; {advice}")


_HEAD = """\
# Norms in networks of GluonCV

`model: {name: gluoncv, network: cifar_resnet20_v1}` builds a network of GluonCV's model zoo, without pretrained
weights, and replaces each of its batch norms by the chosen norm. `tests/models/test_gluoncv_families.py` builds and
trains the first member of every family below on images of the size in the table. A network that doesn't accept images
of another size reports an error.

Which norms a network can host depends on the way in which they act:

- **layer**: a layer at every site. Possible in all networks that have norms.
- **over**: a layer at every site that takes over the activation (`replaces_activation`, `needs_activation`). The
  activation must be a block of its own right after the norm; networks that call it inside another block can't host
  such norms.
- **weight**, initialize, gradient, project: on the weights and gradients of every `Dense` and `Conv`. Possible in all
  networks.
- **residual**: instead of the sum of a branch and its shortcut. Possible in no network of GluonCV, because they add the
  two themselves.

The model `resnet` of normlab can host all of them.

If a norm has no shift (beta), like `none`, the layer before the site gets a bias instead, so that an experiment without
the norm lacks nothing else. In networks that have norms before convolutions, some sites have no such layer; the run
lists them. `gamma_initializer='zeros'` and a gamma or beta that is not trainable are kept for every norm that has them.
Gluon's dropout is replaced by one that follows the mode of normlab's graphs. A network with a block that calls the
operator BatchNorm or Dropout itself is refused. CIFAR WideResNet calls Dropout only with a drop rate, which the members
below don't have.
"""

_TAIL = """\
## Refused networks

| names | reason |
| --- | --- |
"""


def render_page() -> str:
    """Return `docs/gluoncv.md`, in Markdown."""
    rows = ["| family | networks | tested with | layer | over | weight | residual |", "|" + " --- |" * 7]
    rows += [_render_row(family) for family in FAMILIES]
    refused = [f"| `{_escape(pattern)}` | {reason} |" for pattern, reason in REFUSED.items()]
    return "\n".join([_HEAD, *rows, "", _TAIL + "\n".join(refused), ""])


def _render_row(family: Family) -> str:
    cells = [
        f"{family.title} ({family.paper})",
        ", ".join(f"`{name}`" for name in family.networks),
        f"{family.side}x{family.side}",
        _yes_or_no(family.has_sites),
        _yes_or_no(family.replaces_activation),
        "yes",
        "no",
    ]
    return f"| {' | '.join(cells)} |"


def _yes_or_no(possible: bool) -> str:
    return "yes" if possible else "no"


def _escape(pattern: str) -> str:
    return pattern.replace("|", "\\|")
