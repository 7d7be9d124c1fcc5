"""The main job in PyTorch, eager mode."""

from __future__ import annotations

import common
import torch
from torch import nn


class Network(nn.Module):
    """784-100-100-10, tanh everywhere; after the first tanh a batch norm, which always uses the batch's statistics."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(common.SIZES, common.SIZES[1:]))
        batch_norm = nn.BatchNorm1d(common.SIZES[1], eps=common.EPSILON, track_running_stats=False)
        self.norm = batch_norm if variant == "bn" else nn.Identity()
        for parameter in self.layers.parameters():
            nn.init.trunc_normal_(parameter, std=common.SIGMA, a=-2 * common.SIGMA, b=2 * common.SIGMA)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(torch.tanh(self.layers[0](images)))
        hidden = torch.tanh(self.layers[1](hidden))
        return torch.tanh(self.layers[2](hidden))


def main() -> None:
    options = common.options(__doc__)
    torch.manual_seed(options.seed)
    train, test = ([torch.from_numpy(array) for array in split] for split in common.mnist(options.data))
    images, labels = train
    onehot = nn.functional.one_hot(labels.long(), common.SIZES[-1]).float()
    network = Network(options.variant)
    criterion = nn.BCEWithLogitsLoss(reduction="sum")
    optimizer = torch.optim.SGD(network.parameters(), lr=common.LEARNING_RATE[options.variant])

    @torch.inference_mode()
    def accuracy(images: torch.Tensor, labels: torch.Tensor) -> float:
        return (network(images).argmax(1) == labels).float().mean().item()

    watch = common.Stopwatch()
    step = 0
    while step < common.STEPS:
        for batch in torch.randperm(len(images)).split(common.BATCH_SIZE)[: common.STEPS - step]:
            with watch.timing("training"):
                optimizer.zero_grad()
                criterion(network(images[batch]), onehot[batch]).backward()
                optimizer.step()
            step += 1
            if step % common.EVALUATE_EVERY == 0:
                with watch.timing("evaluation"):
                    watch.record(step, accuracy(*train), accuracy(*test))
    common.report(watch, f"torch {torch.__version__}", options)


if __name__ == "__main__":
    main()
