"""Where a data set comes from: its files with their checksums, its homes on the network, its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class File:
    """One file as the data set reads it, uncompressed.

    Attributes:
        name: without folder and without `.gz`.
        size: bytes, uncompressed.
        sha256: hex, of the uncompressed contents: the same however a distributor compressed it.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Download:
    """One thing to download: the gzip of one file, or a tar archive of several.

    Attributes:
        name: file name under which it is kept.
        size: bytes, as downloaded.
        sha256: hex, as downloaded.
        urls: its homes, tried in this order.
        files: what it gives.
        inside: the folder in the archive that holds the files; None for a gzip of one file.
    """

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]
    files: tuple[File, ...]
    inside: str | None = None


@dataclass(frozen=True)
class Source:
    """All that is known of a data set before it is read.

    Attributes:
        name: the word by which specs know it.
        description: one sentence.
        licence: its terms, in short.
        citation: how to cite it.
        shape: of one example, `(C, H, W)`; None if the person decides.
        classes: None if the person decides.
        sizes: examples in train, validation and test by default; None if the person decides.
        files: what must be found to read it; empty if it needs none.
        downloads: how to get them; empty if they can't be downloaded.
        folders: names which its folder may have in `$NORMLAB_DATA`.
        shipped: the folder in which normlab itself brings it.
        installed: folders in which distributions install it.
        by_hand: a further way to supply the files, for the message of a person without a network.
    """

    name: str
    description: str
    licence: str
    citation: str
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    sizes: tuple[int, int, int] | None = None
    files: tuple[File, ...] = ()
    downloads: tuple[Download, ...] = ()
    folders: tuple[str, ...] = ()
    shipped: Path | None = None
    installed: tuple[Path, ...] = ()
    by_hand: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files, uncompressed."""
        return sum(file.size for file in self.files)
