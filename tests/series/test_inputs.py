"""What is one series and what is several, and that each is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from tests._shared import noisy_wave
from vetime_plugins import InputError, VETimePipeline
from vetime_plugins.series.inputs import as_series, as_series_and_references

A, B = np.arange(30.0), np.arange(12.0)[::-1]


@pytest.fixture(scope="module")
def small() -> VETimePipeline:
    return VETimePipeline.from_pretrained("small", device="cpu")


SEVERAL = {
    "array and list": [A, B.tolist()],
    "list and array": [A.tolist(), B],
    "array and tuple": [A, tuple(B)],
    "tuple of both": (A.tolist(), B),
    "list and tensor": [A.tolist(), torch.from_numpy(B.copy())],
    "list and frame": [A.tolist(), pd.DataFrame({"b": B})],
    "list and pandas series": [A.tolist(), pd.Series(B)],
    "list and polars frame": [A.tolist(), pl.DataFrame({"b": B})],
    "lists of rows": [A[:, None].tolist(), B[:, None].tolist()],
    "list of numbers and list of rows": [A.tolist(), B[:, None].tolist()],
    "list of rows and array": [A[:, None].tolist(), B],
    "series": [as_series(A), as_series(B.tolist())],
}


@pytest.mark.parametrize("given", SEVERAL.values(), ids=SEVERAL)
def test_a_list_with_anything_that_can_only_be_a_series_is_several(given: Any) -> None:
    many, all_series, _ = as_series_and_references(given, None)
    assert many
    for one, expected in zip(all_series, (A, B), strict=True):
        np.testing.assert_array_equal(one.values, expected[:, None])


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2], [3, 4], [5, 6]],
        [(1.0, 2), [3, 4], (5, 6)],
        ([1.0, 2], (3, 4), (5, 6)),
        [[np.float64(1), torch.tensor(2.0)], [3, 4], [5, np.array(6)]],
        np.arange(1.0, 7).reshape(3, 2),
    ],
)
def test_lists_of_nothing_but_numbers_are_the_rows_of_one_series(rows: Any) -> None:
    many, (one,), _ = as_series_and_references(rows, None)
    assert not many
    np.testing.assert_array_equal(one.values, np.arange(1.0, 7).reshape(3, 2))


@pytest.mark.parametrize(
    "numbers", [[1.0, None, 3], (1, np.nan, 3.0), [torch.tensor(1.0), pd.NA, np.int8(3)]]
)
def test_a_list_of_numbers_is_one_series(numbers: Any) -> None:
    many, (one,), _ = as_series_and_references(numbers, None)
    assert not many
    np.testing.assert_array_equal(one.with_gaps[:, 0], [1, np.nan, 3])
    np.testing.assert_array_equal(one.values[:, 0], [1, 2, 3])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([A, []], r"series\[1\] needs at least one point"),
        ([[], A], r"series\[0\] needs at least one point"),
        ([A, 3.0], r"series\[1\] needs shape .* got 0-D"),
        ([3.0, A], "series needs rows of one length"),
        ([A, None], r"series\[1\] needs shape"),
        ([A, "text"], r"series\[1\] needs numbers"),
        ([A, np.zeros((2, 2, 2))], r"series\[1\] needs shape .* got 3-D"),
        ([A, [A, B]], r"series\[1\] needs to be one series, got a list of 2"),
        ([A, [[1, 2], [3]]], r"series\[1\] needs rows of one length"),
        ([[1, 2], [3]], "needs rows of one length.*at least one must be an array"),
        ([[], []], "series needs at least one point"),
        ([[], [1, 2]], "needs rows of one length"),
        ((), "empty list"),
    ],
)
def test_a_mixture_that_fits_nothing_is_one_clear_error(bad: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_series_and_references(bad, None)


def test_an_array_and_a_list_are_scored_as_two_series(small: VETimePipeline) -> None:
    found = small.score([A, list(range(30))])
    assert [one.shape for one in found] == [(30,), (30,)]
    np.testing.assert_allclose(found[0], small.score(A), atol=1e-5)


@pytest.mark.parametrize("ask", ["explain", "embed", "plot"])
def test_several_series_are_not_read_as_the_rows_of_one(small: VETimePipeline, ask: str) -> None:
    with pytest.raises(InputError, match="series needs to be one series, got a list of 2"):
        getattr(small, ask)([A, A])


def test_a_series_that_was_read_is_not_read_again(small: VETimePipeline) -> None:
    x = noisy_wave(200)
    x[20:30] = np.nan
    one = as_series(x)
    assert as_series(one) is one
    np.testing.assert_array_equal(small.score(one), small.score(x))
    np.testing.assert_array_equal(small.score([one])[0], small.score([x])[0])
    np.testing.assert_array_equal(one.with_gaps[:, 0], x)
    np.testing.assert_array_equal(np.asarray(one), x)
    assert (
        np.asarray(as_series(x[:, None]), dtype=np.float32).shape == as_series(x[:, None]).shape == (200, 1)
    )
    expected = small.score(x, reference=noisy_wave(300, seed=1))
    np.testing.assert_array_equal(small.score(one, reference=as_series(noisy_wave(300, seed=1))), expected)
