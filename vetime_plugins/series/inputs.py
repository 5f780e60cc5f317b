"""From what users hold (lists, numpy, pandas, polars, tensors) to finite float64 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins._arguments import as_plain, is_tensor
from vetime_plugins.errors import InputError
from vetime_plugins.series.gaps import fill_gaps
from vetime_plugins.series.roles import column_names

_HUGE = 1e100
_TINY = 1e-3
_ROUNDING = 1e-13
_SEVERAL = "For several series use VETimePipeline.score with a list of arrays, or one detector each."


@dataclass(frozen=True)
class Series:
    """A validated series.

    Attributes
    ----------
    values : float64 ndarray of shape (T, C)
        Finite: gaps are filled.
    observed : bool ndarray of shape (T, C)
        False where a gap was filled.
    varies : bool ndarray of shape (C,)
        False for variables that never change beyond rounding.
    one_dimensional : bool
        Whether the input was 1-D.
    names : tuple of str, optional
        Names of the variables, where the input had them.
    checked : bool
        Whether doubtful input was warned of before, see `vetime_plugins.series.guards`.
    """

    values: NDArray[np.float64]
    observed: NDArray[np.bool_]
    varies: NDArray[np.bool_]
    one_dimensional: bool
    names: tuple[str, ...] | None = None
    checked: bool = False

    @classmethod
    def from_columns(
        cls,
        columns: NDArray[np.float64],
        *,
        one_dimensional: bool = False,
        names: tuple[str, ...] | None = None,
        checked: bool = False,
    ) -> Series:
        """Fill the gaps of numbers that were checked before: (T, C) with T, C >= 1, finite or NaN."""
        values = fill_gaps(columns)
        varies = extent(values)[1]
        return cls(values, ~np.isnan(columns), varies, one_dimensional, names, checked)

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the numbers as they came, in their shape; always a copy."""
        return self.with_gaps.reshape(self.shape).astype(dtype or np.float64, copy=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what came in."""
        return self.values.shape[: self.ndim]

    @property
    def ndim(self) -> int:
        """Dimensions of what came in."""
        return 1 if self.one_dimensional else 2

    @property
    def n_variables(self) -> int:
        """Number of columns."""
        return self.values.shape[1]

    @property
    def with_gaps(self) -> NDArray[np.float64]:
        """The numbers as they came, (T, C), NaN where there was none."""
        return np.where(self.observed, self.values, np.nan)

    def as_checked(self) -> Series:
        """Return the same series, of which no more warnings are due."""
        return replace(self, checked=True)

    def select(self, columns: NDArray[np.intp]) -> Series:
        """Return some of the columns."""
        return Series(self.values[:, columns], self.observed[:, columns], self.varies[columns], False)


def is_collection(series: object) -> bool:
    """Tell whether `series` is a list or tuple of several series rather than one series.

    It is where at least one entry can only be a series: an array, tensor or data frame of one dimension or
    more, or a list of rows. Then all entries are series, lists of numbers too. A list of numbers is one
    series, and so is a list of nothing but lists of numbers, which are its rows; an array for a row makes it
    several series. Empty entries say nothing.
    """
    if not isinstance(series, (list, tuple)) or not series or _is_number(series[0]):
        return False
    return any(
        (len(entry) > 0 and not _is_number(entry[0]))
        if isinstance(entry, (list, tuple))
        else not _is_number(entry)
        for entry in series
    )


def _is_number(value: object) -> bool:
    """Tell whether it has no dimensions: a number, or what stands for a missing one."""
    if isinstance(value, (float, int, list, tuple)):
        return isinstance(value, (float, int))
    try:
        return np.ndim(value) == 0  # type: ignore[arg-type]
    except Exception:  # what numpy cannot read is no number; the check of the entry tells why
        return False


def as_columns(series: Any, what: str = "series", *, infinite_is_gap: bool = False) -> NDArray[np.float64]:
    """Return one series as a copy of its columns (T, C), NaN where it has gaps: the one check of a series.

    Errors call it `what`; `infinite_is_gap` makes NaN of infinities.

    Raises
    ------
    InputError
        If it is several series, empty, not 1-D or 2-D, not numeric, complex, or has infinities.
    """
    if isinstance(series, Series):
        return series.with_gaps
    return _columns(series, what, infinite_is_gap)[0]


def _columns(series: Any, what: str, infinite_is_gap: bool) -> tuple[NDArray[np.float64], bool]:
    """Return the columns, and whether the series had one dimension."""
    if is_collection(series):
        raise InputError(
            f"{what} needs to be one series, got a {type(series).__name__} of {len(series)}. {_SEVERAL}"
        )
    array = as_float64(series, what)
    if array.ndim not in (1, 2):
        raise InputError(
            f"{what} needs shape (time,) or (time, variables), got {array.ndim}-D of shape {array.shape}. "
            f"{_SEVERAL}"
        )
    if array.size == 0:
        raise InputError(f"{what} needs at least one point and one variable, got shape {array.shape}.")
    values = np.array(array.reshape(len(array), -1), dtype=np.float64, order="C")
    infinite = np.isinf(values)
    if infinite_is_gap:
        values[infinite] = np.nan
    elif infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise InputError(
            f"{what} needs finite values or NaN for gaps, got {int(infinite.sum())} infinite, "
            f"the first at row {row}, column {column}. "
            "Replace them by NaN where the value is unknown, or by the sensor's limit."
        )
    return values, array.ndim == 1


def as_series(
    series: Any, what: str = "series", *, check_empty: bool = True, names: Sequence[object] | None = None
) -> Series:
    """Validate one series, (T,) or (T, C), and fill its gaps; a `Series` is returned as it is.

    NaN (and None, NA) marks a gap. Errors call the series `what`. Without `check_empty` a variable without
    any value is left at zero; see `check_no_empty_variable`. `names` are those of the columns, where the
    input itself has none; they appear in messages.

    Raises
    ------
    InputError
        As `as_columns` does, or if a variable has no value at all.
    """
    if isinstance(series, Series):
        one = series
    else:
        columns, one_dimensional = _columns(series, what, infinite_is_gap=False)
        texts = column_names(series) if names is None else tuple(str(name) for name in names)
        one = Series.from_columns(
            columns, one_dimensional=one_dimensional, names=None if one_dimensional else texts
        )
    if check_empty:
        check_no_empty_variable(one.observed, what)
    return one


def as_series_and_references(series: Any, reference: Any) -> tuple[bool, list[Series], list[list[Series]]]:
    """Validate what is to be scored, one series or several, and what each of them is compared with.

    The reference of several series is the same for all, or a list with an entry for each; an entry is an
    array (T_ref, C) or a list of such stretches, in which a variable without any value is accepted.

    Returns
    -------
    many : bool
        Whether several series came.
    all_series : list of Series
    references : list of list of Series
        The stretches for each series.

    Raises
    ------
    InputError
        Of a list, the message names the entry.
    """
    if isinstance(series, (list, tuple)) and not series:
        raise InputError("series needs at least one point, got an empty list.")
    many = is_collection(series)
    if many:
        all_series = [as_series(one, f"series[{i}]") for i, one in enumerate(series)]
    else:
        all_series = [as_series(series)]
    references: list[list[Series]]
    if reference is None:
        references = [[]] * len(all_series)
    elif many and is_collection(reference):
        if len(reference) != len(all_series):
            raise InputError(
                f"reference needs one entry a series ({len(all_series)}) or a single array, "
                f"got {len(reference)}."
            )
        references = [_stretches(one, f"reference[{i}]") for i, one in enumerate(reference)]
    else:
        references = [_stretches(reference, "reference")] * len(all_series)
    for one, others in zip(all_series, references, strict=True):
        for other in others:
            if other.n_variables != one.n_variables:
                raise InputError(
                    f"reference needs the series' {one.n_variables} variable(s), got {other.n_variables}."
                )
    return many, all_series, references


def _stretches(reference: Any, what: str) -> list[Series]:
    """Validate one reference, an array or several; an empty variable may prove not to matter."""
    if not is_collection(reference):
        return [as_series(reference, what, check_empty=False)]
    return [as_series(one, f"{what}[{i}]", check_empty=False) for i, one in enumerate(reference)]


def check_no_empty_variable(observed: NDArray[np.bool_], what: str) -> None:
    """Raise `InputError`, which calls the series `what`, where a variable of (T, C) has no value at all."""
    empty = np.flatnonzero(~observed.any(axis=0))
    if len(empty):
        raise InputError(
            f"{what} needs at least one value in every variable, got nothing but NaN in "
            f"column(s) {empty.tolist()}. Drop them."
        )


def as_float64(series: Any, what: str) -> NDArray[Any]:
    """Return any array-like as numbers in its own shape, NaN for None, NA and masked values.

    Raises
    ------
    InputError
        If it is ragged, or holds anything but real numbers. The message calls it `what`.
    """
    kind = type(series).__name__
    try:
        array = _to_numpy(series)
    except ValueError as error:
        raise InputError(
            f"{what} needs rows of one length, got a ragged {kind}: {error}. "
            "Of several series at least one must be an array, else lists are rows."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # containers raise what they like
        raise InputError(
            f"{what} needs what numpy can read, got a {kind}: {error}. Pass a numpy array of its numbers."
        ) from error
    mask = None
    if np.ma.isMaskedArray(array):
        mask, array = np.ma.getmaskarray(array), np.ma.getdata(array)
        if array.dtype == object:
            array = array.copy()
            array[mask] = None
    if array.dtype == object:
        array = _from_objects(array, what, kind)
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{what} needs numbers, got values of type {array.dtype} in a {kind}. "
            "Convert or drop what is not numeric (times belong into the index)."
        )
    if mask is not None:
        array = np.where(mask, np.nan, array)
    return _in_range(array, what) if array.dtype.itemsize > 8 else array


def _to_numpy(series: Any) -> NDArray[Any]:
    """Return any container as an array, masks kept; raises whatever the container does."""
    if isinstance(series, (list, tuple)) and any(map(is_tensor, series)):
        series = [as_plain(entry) for entry in series]
    if is_tensor(series):
        series = as_plain(series)
    elif hasattr(series, "to_numpy"):
        try:
            series = series.to_numpy()
        except Exception:  # pyarrow wants to be asked in another way where it has to copy
            return np.asarray(series)
    return np.asanyarray(series) if np.ma.isMaskedArray(series) else np.asarray(series)


def _in_range(array: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Convert long doubles, which may be larger than any float64."""
    with np.errstate(over="ignore"):
        values = array.astype(np.float64)
    beyond = np.isinf(values) & ~np.isinf(array)
    if beyond.any():
        raise InputError(
            f"{what} needs values that float64 can hold, got {array[beyond][0]!r}. Divide by a power of ten."
        )
    return values


def _from_objects(array: NDArray[Any], what: str, kind: str) -> NDArray[np.float64]:
    """Convert an object array of numbers, None and NA; text is an error even where it looks like a number."""
    flat = [math.nan if v is None or type(v).__name__ in ("NAType", "NaTType") else v for v in array.ravel()]
    for value in flat:
        if isinstance(value, (str, bytes, complex)) or np.ndim(value):
            found = " ".join(repr(value).split())
            raise InputError(
                f"{what} needs numbers, got {found} in a {kind}. Convert or drop what is not numeric."
            )
    try:
        return np.array(flat, dtype=np.float64).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what} needs numbers, got a {kind} with other objects: {error}.") from error


def unit_exponents(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return, for each column of (T, C), the power of two that brings an extreme unit into an ordinary range.

    A power of two changes no digit. Ordinary columns get 0: they keep their unit.
    """
    exponents, varies = extent(values)
    size = np.abs(values).max(axis=0)
    extreme = (size > _HUGE) | (varies & (np.ldexp(1.0, -exponents) < _TINY))
    return np.where(extreme, exponents, 0)


def extent(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the power of two that brings the range of each column into [1, 2), and whether it varies.

    A column whose range is no more than rounding does not vary, and its size comes into [1/2, 1).
    """
    low, high = values.min(axis=0), values.max(axis=0)
    # First the size: the difference of two huge numbers overflows, that of two tiny ones loses digits.
    exponents = -np.frexp(np.maximum(np.abs(low), np.abs(high)))[1].astype(np.intp)
    spread = np.ldexp(high, exponents) - np.ldexp(low, exponents)
    size = np.maximum(np.abs(np.ldexp(low, exponents)), np.abs(np.ldexp(high, exponents)))
    varies = spread > 2 * _ROUNDING * size
    return np.where(varies, exponents + 1 - np.frexp(spread)[1], exponents), varies
