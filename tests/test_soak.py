"""A short soak: memory that is held must not grow with the points that were streamed.

`benchmarks/soak.py` streams a million and looks at the process; this looks at what Python and numpy hold, to
the byte, and at the tensors that live, since a few thousand points are too few for the process to tell.
"""

from __future__ import annotations

import gc
import tracemalloc

import pytest
import torch

pytest.importorskip("psutil")
from benchmarks.soak import soak


def held() -> float:
    """Return the bytes that Python, numpy and tensors hold."""
    gc.collect()
    tensors = [one for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter)]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return tracemalloc.get_traced_memory()[0] + sum(storages.values())


def test_memory_does_not_grow_with_the_points() -> None:
    tracemalloc.start()
    try:
        rows = list(soak(6_000, held, rows=6))
    finally:
        tracemalloc.stop()
    assert rows[-1].incidents > 2
    # The first half fills caches and histories; numpy's small blocks go on, with some 10,000 bytes.
    # One float64 for each point of the second half would be 24,000 bytes more.
    assert max(row.memory for row in rows[3:]) - rows[2].memory < 20_000
