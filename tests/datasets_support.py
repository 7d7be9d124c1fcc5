"""A tiny data set in the format of Fashion-MNIST, an isolated cache and a local web server, for the tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np

from normlab.datasets import mnist
from normlab.datasets.source import Download, File

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from normlab.datasets.source import Source

TRAIN, TEST = 24, 8
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Use an empty cache and no data folder; return the folder of the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("NORMLAB_DATA", raising=False)
    return folder / "xdg" / "normlab"


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def contents() -> dict[str, bytes]:
    random = np.random.Generator(np.random.PCG64(7))
    arrays = [
        random.integers(0, 256, (TRAIN, 4, 4), np.uint8),
        np.arange(TRAIN, dtype=np.uint8) % 10,
        random.integers(0, 256, (TEST, 4, 4), np.uint8),
        np.arange(TEST, dtype=np.uint8) % 10,
    ]
    return {name: idx(array) for name, array in zip(NAMES, arrays)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def tiny(*homes: str) -> Source:
    """Return the tiny data set, which can be downloaded from these URLs."""
    files = tuple(File(name, len(data), sha256(data)) for name, data in contents().items())
    downloads = tuple(
        Download(f"{name}.gz", len(packed(data)), sha256(packed(data)), tuple(f"{h}/{name}.gz" for h in homes), (file,))
        for file, (name, data) in zip(files, contents().items())
    )
    return replace(mnist.FASHION_MNIST, files=files, downloads=downloads if homes else (), installed=())


def tiny_archive(*homes: str) -> tuple[Source, bytes]:
    """Return the tiny data set as one tar archive, which has a folder and further members, and that archive."""
    archive = tar({"tiny/readme.html": b"hello", **{f"tiny/{name}": data for name, data in contents().items()}})
    source = tiny()
    urls = tuple(f"{home}/tiny.tar.gz" for home in homes)
    download = Download("tiny.tar.gz", len(archive), sha256(archive), urls, source.files, inside="tiny")
    return replace(source, downloads=(download,)), archive


def tar(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name, data in members.items():
            if isinstance(data, tarfile.TarInfo):
                file.addfile(data)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return packed(stream.getvalue())  # without the time that tarfile would write


def write(folder: Path, *, gzipped: bool = True) -> Path:
    """Write the files of the tiny data set into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents().items():
        (folder / (f"{name}.gz" if gzipped else name)).write_bytes(packed(data) if gzipped else data)
    return folder


@contextmanager
def served(files: dict[str, bytes], seconds: float = 0.0):
    """Serve files on 127.0.0.1, each after some seconds; yield the URL and how often each file was requested."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            asked[name] += 1
            time.sleep(seconds)
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Length", str(len(files.get(name, b""))))
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def gzips() -> dict[str, bytes]:
    return {f"{name}.gz": packed(data) for name, data in contents().items()}
