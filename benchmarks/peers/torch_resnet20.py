"""ResNet-20 for images of 32 x 32 in PyTorch: milliseconds of a training step and of a prediction, batch 128."""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median

import torch
from torch import nn
from torch.nn import functional

BATCH = 128
WARM_UP = 3


class Block(nn.Module):
    """Two convolutions beside a shortcut, which subsamples and pads with zeros where shapes change (option A)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.more = stride, width - channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.more or self.stride > 1:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return torch.relu(y + x)


class ResNet20(nn.Module):
    """Three stages of three blocks of 16, 32 and 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        shapes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(Block(*shape) for shape in shapes))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layout", choices=("nchw", "channels_last"), default="nchw")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.manual_seed(0)
    layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
    network = ResNet20().to(memory_format=layout)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=layout)
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    @torch.inference_mode()
    def predict() -> None:
        network(images)

    def milliseconds(what: object) -> float:
        taken = []
        for _ in range(options.repeats + WARM_UP):
            start = time.perf_counter()
            what()
            taken.append((time.perf_counter() - start) * 1e3)
        return median(taken[WARM_UP:])

    step_ms = milliseconds(step)
    network.eval()
    found = {"step_ms": step_ms, "predict_ms": milliseconds(predict)}
    print(json.dumps({"framework": f"torch {torch.__version__}", "python": sys.version.split()[0], **found}))


if __name__ == "__main__":
    main()
