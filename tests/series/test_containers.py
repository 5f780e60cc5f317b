"""Whatever a user holds is scored as the numbers that it is, or refused in one line; nothing warns."""

from __future__ import annotations

import datetime
import decimal
import fractions
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from vetime_plugins import InputError
from vetime_plugins.series.inputs import as_columns, as_series_and_references

X = np.sin(np.arange(60) / 5)
HIDDEN = X > 0.9
HALF_GAPS = [1.0, None] * 5


class Broken:
    """A container that fails when it is read."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise RuntimeError("the file behind this array is gone")


def _wide_range(text: str) -> np.ndarray:
    if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("long double is float64 here")
    return np.array([text, "1"], dtype=np.longdouble)


SAME = {
    "long double": lambda: X.astype(np.longdouble),
    "big endian": lambda: X.astype(">f8"),
    "objects": lambda: X.astype(object),
    "memory view": lambda: memoryview(X),
    "reversed twice": lambda: X[::-1].copy()[::-1],
    "decimals": lambda: [decimal.Decimal(float(v)) for v in X],
    "fractions": lambda: [fractions.Fraction(float(v)) for v in X],
    "pandas Float64": lambda: pd.Series(X, dtype="Float64"),
    "pandas sparse": lambda: pd.Series(pd.arrays.SparseArray(X)),
    "pandas index": lambda: pd.Index(X),
    "polars": lambda: pl.Series(X),
    "tensor with gradient": lambda: torch.tensor(X, requires_grad=True) * 1.0,
    "parameter": lambda: torch.nn.Parameter(torch.tensor(X)),
    "sparse tensor": lambda: torch.tensor(X).to_sparse(),
    "negated tensor": lambda: torch.complex(torch.zeros(60).double(), -torch.tensor(X)).conj().imag,
    "list of tensors with gradients": lambda: [torch.tensor(v, requires_grad=True) for v in X],
    "masked without a mask": lambda: np.ma.masked_array(X),
}


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_the_same_numbers_are_read(make: Any) -> None:
    np.testing.assert_array_equal(as_columns(make())[:, 0], X)


ROUNDED = {
    "half": lambda: torch.tensor(X).half(),
    "bfloat16": lambda: torch.tensor(X).bfloat16(),
    "float16": lambda: X.astype(np.float16),
}


@pytest.mark.parametrize("make", ROUNDED.values(), ids=ROUNDED)
def test_short_floats_are_read(make: Any) -> None:
    np.testing.assert_allclose(as_columns(make())[:, 0], X, atol=1e-2)


GAPS = {
    "None": lambda: HALF_GAPS,
    "pandas Int64": lambda: pd.Series(HALF_GAPS, dtype="Int64"),
    "pandas Float32": lambda: pd.Series(HALF_GAPS, dtype="Float32"),
    "pandas boolean": lambda: pd.Series([True, None] * 5, dtype="boolean"),
    "polars": lambda: pl.Series(HALF_GAPS),
    "polars integers": lambda: pl.Series([1, None] * 5),
    "masked integers": lambda: np.ma.masked_array(np.ones(10, dtype=int), [False, True] * 5),
    "masked infinities": lambda: np.ma.masked_invalid([1.0, np.inf] * 5),
    "masked objects": lambda: np.ma.masked_array(np.array([1, "x"] * 5, dtype=object), [False, True] * 5),
    "masked long double": lambda: np.ma.masked_array(np.ones(10, dtype=np.longdouble), [False, True] * 5),
}


@pytest.mark.parametrize("make", GAPS.values(), ids=GAPS)
def test_what_stands_for_nothing_is_a_gap(make: Any) -> None:
    np.testing.assert_array_equal(as_columns(make())[:, 0], [1, np.nan] * 5)


def test_arrow_arrays_with_gaps() -> None:
    pa = pytest.importorskip("pyarrow")
    np.testing.assert_array_equal(as_columns(pa.array(HALF_GAPS))[:, 0], [1, np.nan] * 5)
    np.testing.assert_array_equal(as_columns(pa.chunked_array([X, X]))[:, 0], np.tile(X, 2))
    with pytest.raises(InputError, match="series needs numbers, got 'a'"):
        as_columns(pa.array(["a", None]))


REFUSED = {
    "long double beyond float64": (
        lambda: _wide_range("1e4000"),
        r"values that float64 can hold, got .*1e\+4000",
    ),
    "strings": (lambda: np.array(["1", "2"]), "needs numbers"),
    "masked strings": (lambda: np.ma.masked_array(["1", "2"], [False, True]), "needs numbers"),
    "masked object strings": (
        lambda: np.ma.masked_array(np.array(["1", 2.0], dtype=object)),
        "needs numbers, got '1'",
    ),
    "masked complex": (lambda: np.ma.masked_array([1j, 2]), "needs numbers, got values of type complex"),
    "masked dates": (lambda: np.ma.masked_array(np.arange(3).astype("M8[s]")), "needs numbers"),
    "masked records": (lambda: np.ma.zeros(3, dtype=[("a", float)]), "needs numbers"),
    "complex": (lambda: X.astype(complex), "needs numbers"),
    "complex tensor": (lambda: torch.tensor(X).to(torch.complex64).conj(), "needs numbers"),
    "tensor without data": (lambda: torch.zeros(5, device="meta"), "what numpy can read, got a Tensor"),
    "records": (lambda: np.zeros(3, dtype=[("a", float)]), "needs numbers"),
    "categories of text": (lambda: pd.Series(["1", "2"], dtype="category"), "needs numbers"),
    "dates": (lambda: pd.Series(pd.date_range("2024", periods=3, tz="UTC")), "needs numbers"),
    "time spans": (lambda: [datetime.timedelta(1)] * 3, "needs numbers"),
    "whole number beyond float64": (lambda: [10**400, 1], "needs numbers"),
    "generator": (lambda: (v for v in X), "needs numbers, got a generator"),
    "dictionary": (lambda: {"a": X}, "needs numbers"),
    "scipy sparse": (lambda: scipy.sparse.csr_array(X[:, None]), "needs numbers"),
    "lazy frame": (lambda: pl.LazyFrame({"a": X}), "needs numbers"),
    "nothing": (lambda: None, "needs shape"),
    "container that fails": (Broken, "what numpy can read, got a Broken: the file behind"),
    "list of containers that fail": (lambda: [Broken()], "one series, got a list of 1"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_the_rest_is_refused_in_one_line(make: Any, message: str) -> None:
    bad = make()
    with pytest.raises(InputError, match=message) as caught:
        as_columns(bad)
    assert "\n" not in str(caught.value)


def test_a_broken_entry_of_several_is_named() -> None:
    with pytest.raises(InputError, match=r"series\[1\] needs what numpy can read"):
        as_series_and_references([X, Broken()], None)


def test_memory_that_is_not_there_is_no_fault_of_the_input() -> None:
    class Huge:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            raise MemoryError("5 TiB")

    with pytest.raises(MemoryError, match="5 TiB"):
        as_columns(Huge())
