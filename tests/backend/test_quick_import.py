"""Importing MXNet leaves out what normlab does not use, and those who do use it find it."""

from __future__ import annotations

import subprocess
import sys


def printed(program):
    """What a program prints in a process of its own, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_mxnet_leaves_out_what_it_does_not_use_here():
    program = """
import sys
from normlab.backend.mxnet import mxnet
mx = mxnet()
mx.nd.array([1.0, 2.0]).asnumpy()
print([name for name in ("scipy.stats", "scipy.sparse", "requests", "cv2") if name in sys.modules])
"""
    assert printed(program) == "[]"


def test_gluoncv_finds_the_sparse_matrices_that_it_imports():
    program = """
from normlab.backend.mxnet import gluoncv, mxnet
mx = mxnet()
gluoncv()
import scipy.sparse
print(type(scipy.sparse.csr_matrix((2, 2))).__name__, float(mx.nd.array([1.0, 2.0]).sum().asscalar()))
"""
    assert printed(program) == "csr_matrix 3.0"
