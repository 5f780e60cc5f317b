"""Threads of torch, where they help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WORTH = 200_000
"""Values from which on threads are worth while, a second of work."""


@contextmanager
def threads_for(n_values: int) -> Iterator[None]:
    """Work on one thread where there is little to do, and leave the number of threads as it was.

    Torch splits every operation of some size and waits for the last part of it, spinning. A part that waits
    for a core beside other processes holds up all others: then two threads take many times as long as one.
    """
    before = torch.get_num_threads()
    if before == 1 or n_values >= _WORTH:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
