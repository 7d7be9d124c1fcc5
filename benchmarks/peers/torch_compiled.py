"""The main job in PyTorch, compiled by torch.compile."""

from __future__ import annotations

import common
import torch
from torch import nn
from torch_eager import Network


def main() -> None:
    options = common.options(__doc__)
    torch.manual_seed(options.seed)
    train, test = ([torch.from_numpy(array) for array in split] for split in common.mnist(options.data))
    images, labels = train
    onehot = nn.functional.one_hot(labels.long(), common.SIZES[-1]).float()
    network = Network(options.variant)
    criterion = nn.BCEWithLogitsLoss(reduction="sum")

    @torch.compile(dynamic=False)
    def loss(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return criterion(network(images), targets)

    optimizer = torch.optim.SGD(network.parameters(), lr=common.LEARNING_RATE[options.variant])

    @torch.compile(dynamic=False)
    @torch.inference_mode()
    def accuracy(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (network(images).argmax(1) == labels).float().mean()

    watch = common.Stopwatch()
    step = 0
    while step < common.STEPS:
        for batch in torch.randperm(len(images)).split(common.BATCH_SIZE)[: common.STEPS - step]:
            with watch.timing("training"):
                optimizer.zero_grad()
                loss(images[batch], onehot[batch]).backward()
                optimizer.step()
            step += 1
            if step % common.EVALUATE_EVERY == 0:
                with watch.timing("evaluation"):
                    watch.record(step, accuracy(*train), accuracy(*test))
    common.report(watch, f"torch {torch.__version__}", options)


if __name__ == "__main__":
    main()
