"""What this processor reaches in float32 products of large matrices, by MXNet: GFLOP/s, the median of ten."""

from __future__ import annotations

import json
import time
from statistics import median

from normlab.backend.mxnet import mxnet

SIZE = 3000


def main() -> None:
    mx = mxnet()
    a, b = (mx.nd.random.normal(shape=(SIZE, SIZE)) for _ in range(2))
    seconds = []
    for _ in range(11):
        mx.nd.waitall()
        start = time.perf_counter()
        mx.nd.FullyConnected(a, b, num_hidden=SIZE, no_bias=True).wait_to_read()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"gflops": 2 * SIZE**3 / median(seconds[1:]) / 1e9}))


if __name__ == "__main__":
    main()
