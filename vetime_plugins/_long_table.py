"""One face for the data frames of pandas and polars, neither of which is imported here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.errors import InputError
from vetime_plugins.series.inputs import as_float64
from vetime_plugins.series.roles import doubtful_role


class LongTable:
    """A data frame of pandas or polars, as far as it is needed here.

    Parameters
    ----------
    frame : pandas or polars DataFrame
    scored : bool
        Whether it may hold scores and anomalies already.

    Raises
    ------
    InputError
        If it is no data frame, or its columns cannot be told apart. So do the methods, for a column that is
        not there or cannot be what it is asked for.
    """

    def __init__(self, frame: Any, *, scored: bool = False) -> None:
        self.is_pandas = hasattr(frame, "iloc") and hasattr(frame, "columns")
        if not self.is_pandas and not (hasattr(frame, "get_column") and hasattr(frame, "with_columns")):
            raise InputError(
                f"a long table needs to be a pandas or polars DataFrame, got {type(frame).__name__}. "
                "Of a LazyFrame pass frame.collect()."
            )
        self.frame = frame
        self.names = [str(name) for name in frame.columns]
        self.added = ("score", "anomaly")
        for name in self.added:
            if name in self.names and not scored:
                raise InputError(f"the table has a column {name!r}, which the result is to have. Rename it.")
        if len(set(self.names)) < len(self.names):
            raise InputError("the table needs columns of different names, got some twice. Rename them.")

    def variables(self, values: str | Sequence[str] | None, id: str, time: str | None) -> list[str]:
        """Return the names of the columns that are to be scored."""
        if values is not None:
            names = [values] if isinstance(values, str) else [str(name) for name in values]
            for name in names:
                self._column(name)
                if names.count(name) > 1 or name in (id, time):
                    raise InputError(
                        f"column {name!r} is named twice; it is one variable, the id or the time."
                    )
            if not names:
                raise InputError("values needs at least one column, got none.")
            return names
        names = [name for name in self.names if name not in (id, time, *self.added)]
        for name in names:
            looks = doubtful_role(name, np.asarray(self._column(name)))
            if looks is not None:
                raise InputError(
                    f"column {name!r} looks like {looks}. Name the variables with values=[...], this one too "
                    "if it is a measurement."
                )
        if not names:
            raise InputError("the table needs a column besides the id and the time, got none.")
        return names

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return columns as numbers (n, C), NaN where there is none."""
        found = []
        for name in names:
            column = self._column(name)
            if self.is_pandas and getattr(column.dtype, "na_value", None) is not None:  # nullable, Arrow
                kind = str(column.dtype).lower()
                if kind.startswith(("int", "uint", "float", "double", "bool")):
                    column = column.to_numpy(dtype=np.float64, na_value=np.nan)
            try:
                found.append(as_float64(column, f"column {name!r}").astype(np.float64))
            except InputError as error:
                raise InputError(f"{error} Or name the variables with values=[...].") from error
        return np.stack(found, axis=1)

    def ids(self, name: str) -> list[Hashable]:
        """Return a column of ids as objects, none of which is missing."""
        column = self._column(name)
        self._refuse_missing(column, name)
        return column.tolist() if self.is_pandas else column.to_list()

    def times(self, name: str) -> NDArray[Any]:
        """Return a column of times as numbers, dates or durations, none of which is missing."""
        column = self._column(name)
        self._refuse_missing(column, name)
        if not self.is_pandas:
            found = column.to_numpy()
        elif getattr(column.dtype, "tz", None) is not None:
            found = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        elif type(column.dtype).__name__ == "PeriodDtype":
            found = column.dt.to_timestamp().to_numpy()
        else:
            found = column.to_numpy()
            if found.dtype == object and str(column.dtype) != "object":
                found = np.asarray(column.tolist())
        if found.dtype.kind not in "iufMm":
            raise InputError(
                f"the times in column {name!r} need to be dates or numbers, got {column.dtype}. Convert "
                "them, e.g. with pandas.to_datetime or polars.Expr.str.to_datetime: text has no order."
            )
        return found

    def objects(self, name: str) -> list[Any]:
        """Return a column as Python objects."""
        column = self._column(name)
        return column.tolist() if self.is_pandas else column.to_list()

    def with_columns(self, **columns: NDArray[Any]) -> Any:
        """Return the frame with more columns behind its own."""
        if self.is_pandas:
            return self.frame.assign(**columns)
        module = type(self.frame.get_column(self.frame.columns[0]))
        return self.frame.with_columns([module(name, values) for name, values in columns.items()])

    def _column(self, name: str) -> Any:
        if name in self.names:
            place = self.names.index(name)
            return self.frame.iloc[:, place] if self.is_pandas else self.frame.get_column(name)
        if self.is_pandas and name in self.frame.index.names:
            return self.frame.index.get_level_values(name).to_series(index=range(len(self.frame)))
        known = ", ".join(map(repr, self.names[:20])) + (", ..." if len(self.names) > 20 else "")
        raise InputError(f"the table has no column {name!r}; it has {known}.")

    def _refuse_missing(self, column: Any, name: str) -> None:
        if self.is_pandas:
            missing = np.flatnonzero(column.isna().to_numpy())
        else:
            nan = column.is_nan() if column.dtype.is_float() else column.is_null()
            missing = np.flatnonzero((column.is_null() | nan).fill_null(True).to_numpy())
        if len(missing):
            raise InputError(
                f"column {name!r} needs a value in every row, got {len(missing)} without, the first in row "
                f"{missing[0]} (counted from 0). Drop these rows or fill them."
            )
