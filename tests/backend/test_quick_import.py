"""The import of MXNet postpones modules that normlab does not use, and other code can still use them."""

from __future__ import annotations

import subprocess
import sys


def output_of(program):
    """Return the output of a program in a new process, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_of_mxnet_does_not_load_the_postponed_modules():
    program = """
import sys
from normlab.backend.mxnet import mxnet
mx = mxnet()
mx.nd.array([1.0, 2.0]).asnumpy()
print([name for name in ("scipy.stats", "scipy.sparse", "requests", "cv2") if name in sys.modules])
"""
    assert output_of(program) == "[]"


def test_gluoncv_can_use_the_postponed_sparse_matrices():
    program = """
from normlab.backend.mxnet import gluoncv, mxnet
mx = mxnet()
gluoncv()
import scipy.sparse
print(type(scipy.sparse.csr_matrix((2, 2))).__name__, float(mx.nd.array([1.0, 2.0]).sum().asscalar()))
"""
    assert output_of(program) == "csr_matrix 3.0"
