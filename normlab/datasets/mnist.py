"""MNIST, which normlab ships, and its drop-in replacement Fashion-MNIST: 28 x 28 pixels, one channel, ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from normlab.datasets import store
from normlab.datasets.base import Dataset, Limit, Split, hash_values, partition
from normlab.datasets.payload import Payload, parse_idx
from normlab.datasets.source import Download, File, Source

Validation = Annotated[int, Field(ge=0, lt=60_000)]

_SHAPE = (1, 28, 28)
_SIZES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}


def _files(*checksums: str) -> tuple[File, ...]:
    return tuple(File(name, size, checksum) for (name, size), checksum in zip(_SIZES.items(), checksums))


MNIST = Source(
    name="mnist",
    description="Handwritten digits, 28 x 28 grey pixels; shipped with normlab.",
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. "
    "Proc. IEEE 86(11), 1998",
    shape=_SHAPE,
    classes=10,
    sizes=(55_000, 5_000, 10_000),
    files=_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    folders=("mnist",),
    shipped=Path(__file__).resolve().parent.parent / "data" / "mnist",
    by_hand="reinstall normlab",
)

# The checksums of the contents come from Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1, those of the
# gzip files from the checksum lists of TensorFlow Datasets; the authors' README gives only MD5 and sizes in MB.
_FASHION_FILES = _files(
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
_FASHION_GZIPS = (
    (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
_FASHION_HOMES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)

FASHION_MNIST = Source(
    name="fashion_mnist",
    description="Articles of clothing, 28 x 28 grey pixels, made to replace MNIST.",
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms. arXiv:1708.07747, 2017",
    shape=_SHAPE,
    classes=10,
    sizes=(55_000, 5_000, 10_000),
    files=_FASHION_FILES,
    downloads=tuple(
        Download(
            name=f"{file.name}.gz",
            size=size,
            sha256=checksum,
            urls=tuple(f"{home}/{file.name}.gz" for home in _FASHION_HOMES),
            files=(file,),
        )
        for file, (size, checksum) in zip(_FASHION_FILES, _FASHION_GZIPS)
    ),
    folders=("fashion_mnist", "fashion-mnist"),
    installed=(Path("/usr/share/datasets/fashion-mnist"),),
    by_hand="install Debian's package dataset-fashion-mnist",
)

_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(*, validation: Validation = 5000, limit: Limit = None) -> Dataset:
    """Load MNIST: handwritten digits, images `(N, 1, 28, 28)`, shipped with normlab.

    Args:
        validation: Number of training images, from the first on, for the validation split.
        limit: Use only this many examples of each split, for quick trials.

    Raises:
        DataError: A shipped file is damaged or missing.
    """
    return _read(MNIST, tuple("0123456789"), validation, limit, flips=False)


def fashion_mnist(*, validation: Validation = 5000, limit: Limit = None) -> Dataset:
    """Load Fashion-MNIST: articles of clothing, images `(N, 1, 28, 28)`. Downloads 31 MB if needed.

    Args:
        validation: Number of training images, from the first on, for the validation split.
        limit: Use only this many examples of each split, for quick trials.

    Raises:
        DataError: A file is damaged, or missing and can't be downloaded.
        StorageError: The cache can't be written.
    """
    return _read(FASHION_MNIST, _CLOTHES, validation, limit, flips=True)


def _read(source: Source, class_names: tuple[str, ...], validation: int, limit: Limit, *, flips: bool) -> Dataset:
    contents = store.load(source)
    train, test = (_split(contents, part) for part in ("train", "t10k"))
    return Dataset(
        name=source.name,
        splits=partition(source.name, train, test, validation, limit),
        classes=len(class_names),
        class_names=class_names,
        digest=hash_values([file.sha256 for file in source.files], validation, limit),
        flips=flips,
    )


def _split(contents: dict[str, Payload], part: str) -> Split:
    images, labels = contents[f"{part}-images-idx3-ubyte"], contents[f"{part}-labels-idx1-ubyte"]
    pixels = parse_idx(images.contents, str(images.path), axes=3)
    classes = parse_idx(labels.contents, str(labels.path), axes=1)
    return Split(pixels[:, np.newaxis], classes.astype(np.int32))
