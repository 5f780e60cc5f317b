"""How a series is cut into what the network reads at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.preparation import prepare, split

CONFIG = VETimeConfig(patch_size=16, max_chunk_steps=5000, retrieval=None)


@pytest.mark.parametrize(
    ("n_patches", "expected"),
    [
        (1, [1]),
        (312, [312]),
        (313, [157, 156]),
        (751, [251, 250, 250]),
        (1000, [250, 250, 250, 250]),
        (1001, [251, 250, 250, 250]),
    ],
)
def test_chunks_differ_by_one_patch_and_the_first_are_the_longer(n_patches: int, expected: list[int]) -> None:
    values = np.sin(np.arange(16 * n_patches - 9) / 7)[:, None]
    (unit,) = prepare(values, CONFIG)
    chunks = split(unit, CONFIG)
    assert [chunk.stop - chunk.start for chunk in chunks] == expected
    assert [chunk.start for chunk in chunks] == [0, *np.cumsum(expected)[:-1]]


@pytest.mark.parametrize("n_patches", range(1, 40))
@pytest.mark.parametrize("most", [1, 3, 7])
def test_chunks_are_those_of_an_even_split(n_patches: int, most: int) -> None:
    config = replace(CONFIG, max_chunk_steps=16 * most)
    (unit,) = prepare(np.sin(np.arange(16 * n_patches) / 7)[:, None], config)
    parts = np.array_split(np.arange(n_patches), -(-n_patches // most))
    assert [(c.start, c.stop) for c in split(unit, config)] == [(p[0], p[-1] + 1) for p in parts]
