"""What the ghost batch normalization of pytorch-tabnet computes: chunks in their order, each moving the statistics."""

from __future__ import annotations

from importlib.metadata import version

import torch
from pytorch_tabnet import tab_network
from reference import inputs
from reference.archive import Case, Header, write
from reference.generators.torch_case import run


def ghost_batch() -> list[Case]:
    """Ghost batches that divide the batch, and a last one that is shorter."""
    found = []
    for name, size, batches in (("even", 3, (6, 9, 6, 4)), ("shorter_last", 4, (10, 6, 12, 4))):
        module = tab_network.GBN(6, virtual_batch_size=size, momentum=0.3)
        torch.nn.init.ones_(module.bn.weight)
        found.append(
            run(
                Header(name, "NC", f"pytorch_tabnet.tab_network.GBN(6, virtual_batch_size={size}, momentum=0.3)"),
                inputs.batches(name, (6,), 1, batches),
                module,
                {"gamma": module.bn.weight, "beta": module.bn.bias},
                {"running_mean": module.bn.running_mean, "running_var": module.bn.running_var},
            )
        )
    return found


if __name__ == "__main__":
    write("pytorch_tabnet", version("pytorch-tabnet"), "ghost_batch", ghost_batch())
