"""CIFAR-10 and CIFAR-100, colour images of 32 x 32 pixels, in the authors' binary version, which needs no pickle.

A record is a label byte (in CIFAR-100 a coarse and a fine one), then 1024 bytes each of red, green and blue by row.
Source: A. Krizhevsky, "The CIFAR-10 dataset" and "The CIFAR-100 dataset", https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from normlab.datasets import store
from normlab.datasets.base import Dataset, Limit, Split, hash_values, partition
from normlab.datasets.payload import Payload
from normlab.datasets.source import Download, File, Source

Validation = Annotated[int, Field(ge=0, lt=50_000)]

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_HOME = "https://www.cs.toronto.edu/~kriz"
_CITATION = "Krizhevsky: Learning multiple layers of features from tiny images. Technical report, 2009"
_TERMS = "no licence given; the authors ask to be cited"

# The checksums of the archives come from the checksum lists of TensorFlow Datasets, those of the files from
# torchvision-ruby; the authors publish only the MD5 of the archives (c32a1d4ab5d03f1284b67883e8d87530 and
# 03b5dce01913d631647c71ecec9e9cb8).
_TEN = (
    File("data_batch_1.bin", 30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    File("data_batch_2.bin", 30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    File("data_batch_3.bin", 30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    File("data_batch_4.bin", 30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    File("data_batch_5.bin", 30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    File("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
)
_HUNDRED = (
    File("train.bin", 153_700_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
    File("test.bin", 30_740_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
)


def _source(name: str, description: str, classes: int, files: tuple[File, ...], archive: Download) -> Source:
    return Source(
        name=name,
        description=description,
        licence=_TERMS,
        citation=_CITATION,
        shape=_SHAPE,
        classes=classes,
        sizes=(45_000, 5_000, 10_000),
        files=files,
        downloads=(archive,),
        folders=(name, archive.inside or name),
        by_hand=f"put the archive {archive.name} there, without unpacking it",
    )


CIFAR10 = _source(
    "cifar10",
    "Photographs of animals and vehicles, 32 x 32 pixels in colour.",
    10,
    _TEN,
    Download(
        name="cifar-10-binary.tar.gz",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        urls=(f"{_HOME}/cifar-10-binary.tar.gz",),
        files=_TEN,
        inside="cifar-10-batches-bin",
    ),
)
CIFAR100 = _source(
    "cifar100",
    "Photographs of a hundred kinds of things, 32 x 32 pixels in colour.",
    100,
    _HUNDRED,
    Download(
        name="cifar-100-binary.tar.gz",
        size=168_513_733,
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        urls=(f"{_HOME}/cifar-100-binary.tar.gz",),
        files=_HUNDRED,
        inside="cifar-100-binary",
    ),
)

_TEN_NAMES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())  # noqa: SIM905 - as below
_FINE_NAMES = tuple(
    # one string, because a hundred quotes would hide the names
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split(),  # noqa: SIM905 - as said above
)


def cifar10(*, validation: Validation = 5000, limit: Limit = None) -> Dataset:
    """Load CIFAR-10: photographs of ten kinds of things, images `(N, 3, 32, 32)`. Downloads 170 MB if needed.

    Args:
        validation: Number of training images, from the first on, for the validation split.
        limit: Use only this many examples of each split, for quick trials.

    Raises:
        DataError: A file is damaged, or missing and can't be downloaded.
        StorageError: The cache can't be written.
    """
    return _read(CIFAR10, _TEN_NAMES, 1, validation, limit)


def cifar100(*, validation: Validation = 5000, limit: Limit = None) -> Dataset:
    """Load CIFAR-100 with its fine labels: photographs of a hundred kinds of things. Downloads 169 MB if needed.

    Args:
        validation: Number of training images, from the first on, for the validation split.
        limit: Use only this many examples of each split, for quick trials.

    Raises:
        DataError: A file is damaged, or missing and can't be downloaded.
        StorageError: The cache can't be written.
    """
    return _read(CIFAR100, _FINE_NAMES, 2, validation, limit)


def _read(source: Source, class_names: tuple[str, ...], label_bytes: int, validation: int, limit: Limit) -> Dataset:
    contents = store.load(source)
    *train, test = (contents[file.name] for file in source.files)
    splits = partition(source.name, _split(train, label_bytes), _split([test], label_bytes), validation, limit)
    return Dataset(
        name=source.name,
        splits=splits,
        classes=len(class_names),
        class_names=class_names,
        digest=hash_values([file.sha256 for file in source.files], validation, limit),
    )


def _split(payloads: Sequence[Payload], label_bytes: int) -> Split:
    """Join the records of several files, copying each byte once. The last label byte is the (fine) class."""
    records = [np.frombuffer(one.contents, np.uint8).reshape(-1, label_bytes + _PIXELS) for one in payloads]
    images = np.concatenate([record[:, label_bytes:] for record in records])
    labels = np.concatenate([record[:, label_bytes - 1] for record in records])
    return Split(images.reshape(-1, *_SHAPE), labels.astype(np.int32))
