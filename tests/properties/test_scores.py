"""Scores of any series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.properties._cases import ADVICE, LARGEST, check_scores, series, tried
from vetime_plugins import InputError, VETimePipeline

pytestmark = ADVICE

ROUNDING = 1e-6

AWKWARD = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e-9, 1e9, 1e300, LARGEST, -LARGEST, np.nan, np.inf, -np.inf]
)


def _exact(x: NDArray[np.float64], exponent: int) -> bool:
    """Tell whether a power of two leaves all digits."""
    return bool(np.array_equal(np.ldexp(np.ldexp(x, exponent), -exponent), x, equal_nan=True))


def _moves_enough(x: NDArray[np.float64]) -> bool:
    """Tell whether variables move by more than a hundredth of their size, or not at all."""
    columns = x.reshape(len(x), -1)
    with np.errstate(invalid="ignore"):
        spread = np.nanmax(columns, axis=0) - np.nanmin(columns, axis=0)
    return bool(((spread == 0) | (spread > 1e-2 * np.nanmax(np.abs(columns), axis=0))).all())


@tried()
@given(x=series(), readout=st.sampled_from(["point", "window"]))
def test_scores_have_the_length_and_range_and_leave_the_series_alone(
    small: VETimePipeline, x: NDArray[np.float64], readout: str
) -> None:
    before = x.copy()
    check_scores(small.score(x, readout=readout), x.shape[:1])
    np.testing.assert_array_equal(x, before)


@tried(20)
@given(x=series(longest=5000, widest=60))
def test_long_and_wide_series(small: VETimePipeline, x: NDArray[np.float64]) -> None:
    check_scores(small.score(x, per_variable=True), (len(x), x.shape[1] if x.ndim == 2 else 1))


@tried()
@given(values=st.lists(AWKWARD, max_size=40), width=st.sampled_from([None, 1, 2, 3]))
def test_awkward_values_are_scored_or_refused(
    small: VETimePipeline, values: list[float], width: int | None
) -> None:
    x = np.array(values)
    if width is not None:
        x = x[: len(x) // width * width].reshape(-1, width)
    usable = x.size and not np.isinf(x).any() and not np.isnan(x).all(axis=0).any()
    if usable:
        check_scores(small.score(x), x.shape[:1])
    else:
        with pytest.raises(InputError):
            small.score(x)


@tried()
@given(x=series(), exponent=st.integers(-1000, 1000))
def test_powers_of_two_change_no_bit(small: VETimePipeline, x: NDArray[np.float64], exponent: int) -> None:
    with np.errstate(over="ignore"):
        assume(_exact(x, exponent))
    np.testing.assert_array_equal(small.score(np.ldexp(x, exponent)), small.score(x))


@tried()
@given(x=series(offset=1), log_factor=st.floats(-250, 250), shift=st.sampled_from([0.0, 0.1, -1.0, 7.0]))
def test_factors_and_shifts_change_nothing_but_rounding(
    small: VETimePipeline, x: NDArray[np.float64], log_factor: float, shift: float
) -> None:
    moved = x * 10**log_factor
    moved = moved + shift * np.nanmax(np.abs(moved))
    assume(_moves_enough(x) and _moves_enough(moved))
    np.testing.assert_allclose(small.score(moved), small.score(x), rtol=0, atol=ROUNDING)


@tried()
@given(x=series(widest=8), data=st.data())
def test_the_order_of_variables_means_nothing(
    small: VETimePipeline, x: NDArray[np.float64], data: st.DataObject
) -> None:
    x = x.reshape(len(x), -1)
    order = data.draw(st.permutations(range(x.shape[1])))
    np.testing.assert_allclose(small.score(x[:, order]), small.score(x), rtol=0, atol=ROUNDING)


@tried(4)
@given(many=st.lists(series(longest=200), min_size=1, max_size=6), batch_size=st.integers(1, 9))
def test_neighbours_in_a_batch_do_not_matter(
    small: VETimePipeline, many: list[NDArray[np.float64]], batch_size: int
) -> None:
    pipeline = VETimePipeline(small.model, "small", small.device, batch_size=batch_size)
    for one, scores in zip(many, pipeline.score(many), strict=True):
        np.testing.assert_allclose(scores, small.score(one), rtol=0, atol=ROUNDING)


@tried()
@given(x=series(), reference=series(gaps=False))
def test_a_reference_of_any_kind(
    small: VETimePipeline, x: NDArray[np.float64], reference: NDArray[np.float64]
) -> None:
    columns = x.reshape(len(x), -1)
    other = np.resize(reference.reshape(len(reference), -1), (len(reference), columns.shape[1]))
    check_scores(small.score(columns, reference=other), x.shape[:1])
    part = columns[len(columns) // 3 :]
    np.testing.assert_array_equal(small.score(columns, reference=part), small.score(columns))


CONTAINERS: dict[str, Any] = {
    "list": lambda x: x.tolist(),
    "objects with None": lambda x: np.where(np.isnan(x), None, x),
    "masked": lambda x: np.ma.masked_invalid(x),
    "big endian": lambda x: x.astype(">f8"),
    "long double": lambda x: x.astype(np.longdouble),
    "columns first": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "pandas": lambda x: pd.DataFrame(x),
    "pandas Float64": lambda x: pd.DataFrame(x).astype("Float64"),
    "polars": lambda x: pl.DataFrame(x.reshape(len(x), -1)),
    "polars with null": lambda x: pl.DataFrame(x.reshape(len(x), -1)).fill_nan(None),
    "tensor with gradient": lambda x: torch.tensor(x, requires_grad=True),
}


@tried()
@given(x=series(), name=st.sampled_from(sorted(CONTAINERS)))
def test_the_container_does_not_matter(small: VETimePipeline, x: NDArray[np.float64], name: str) -> None:
    np.testing.assert_array_equal(small.score(CONTAINERS[name](x)), small.score(x))


@tried(8)
@given(x=series(longest=150), threads=st.integers(1, 4))
def test_the_number_of_threads_does_not_matter(
    small: VETimePipeline, x: NDArray[np.float64], threads: int
) -> None:
    expected, before = small.score(x), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        np.testing.assert_allclose(small.score(x), expected, rtol=0, atol=ROUNDING)
    finally:
        torch.set_num_threads(before)


@tried(4)
@given(x=series(longest=200, widest=3))
def test_explanations_of_any_series(small: VETimePipeline, x: NDArray[np.float64]) -> None:
    found = small.explain(x)
    np.testing.assert_allclose(found.scores, small.score(x), rtol=0, atol=ROUNDING)
    assert np.isfinite(found.reconstruction).all()
    assert np.isfinite(found.expert_weights).all()
    assert np.isfinite(small.embed(x)).all()
