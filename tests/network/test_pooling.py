"""How the margins of several variables become one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vetime_plugins.network.pooling import pool_margins, pool_variables


@pytest.mark.parametrize(("n_variables", "averaged"), [(1, 1), (2, 1), (8, 3), (38, 6)])
def test_top_is_the_mean_of_the_highest_of_each_step(n_variables: int, averaged: int) -> None:
    margins = np.random.default_rng(0).standard_normal((50, n_variables))
    expected = np.sort(margins, axis=1)[:, -averaged:].mean(axis=1)
    np.testing.assert_allclose(pool_margins(margins, "top"), expected)


@pytest.mark.parametrize("how", ["mean", "max", "top", "rise"])
def test_variables_that_never_change_do_not_take_part(how: str) -> None:
    margins = np.random.default_rng(1).standard_normal((20, 5))
    wider = np.column_stack([margins, np.full((20, 4), -np.inf)])
    np.testing.assert_array_equal(pool_margins(wider, how), pool_margins(margins, how))


@pytest.mark.parametrize("how", ["mean", "max", "top"])
def test_the_network_pools_as_the_pipeline_does(how: str) -> None:
    margins = np.random.default_rng(2).standard_normal((20, 9))
    logits = torch.zeros(1, 9, 20, 2)
    logits[0, ..., 1] = torch.from_numpy(margins.T)
    pooled = pool_variables(logits, how)[0]
    np.testing.assert_allclose((pooled[:, 1] - pooled[:, 0]).numpy(), pool_margins(margins, how), atol=1e-5)


def test_rise_counts_from_what_is_usual_for_each_variable() -> None:
    margins = np.random.default_rng(3).standard_normal((50, 9)) + np.arange(9)
    level = np.median(margins, axis=0)
    expected = np.sort(margins - level, axis=1)[:, -3:].mean(axis=1)
    np.testing.assert_allclose(pool_margins(margins, "rise"), expected)
    np.testing.assert_allclose(pool_margins(margins + 1, "rise", level=level), expected + 1)


@pytest.mark.parametrize("how", ["mean", "max", "top", "rise"])
def test_switches_count_as_one(how: str) -> None:
    margins = np.random.default_rng(4).standard_normal((50, 6))
    margins -= np.median(margins, axis=0)
    switches = np.array([False, True, True, False, True, False])
    joined = np.column_stack([margins[:, ~switches], margins[:, switches].mean(axis=1)])
    level = np.zeros(6)
    got = pool_margins(margins, how, level=level, switches=switches)
    np.testing.assert_allclose(got, pool_margins(joined, how, level=level[:4]))
    every = pool_margins(margins, how, level=level, switches=np.ones(6, dtype=bool))
    np.testing.assert_array_equal(every, pool_margins(margins, how, level=level))
