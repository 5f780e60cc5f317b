"""Which columns of a table are the series, which its time stamps and its labels.

A column goes to the model only if it was asked for or can be nothing but a measurement: time stamps, row
counters or labels among the variables would spoil every score unnoticed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vetime_plugins.cli.tables import Table, is_decimal_comma, to_float
from vetime_plugins.errors import InputError
from vetime_plugins.series.roles import doubtful_role

_MOST_WORDS = 3  # that a column may have for missing values


@dataclass(frozen=True)
class LabelledSeries:
    """A series ready to be scored, (T, C) with NaN in missing cells, and what belongs to its rows.

    `time` is ``(T,)`` as it stood in the file, so that it can be written back unchanged; `labels` are
    ``(T,)`` int8 of 0 and 1.
    """

    values: np.ndarray
    names: tuple[str, ...]
    time: np.ndarray | None = None
    time_name: str | None = None
    labels: np.ndarray | None = None


def select_series(
    table: Table,
    *,
    columns: Sequence[str] = (),
    time: str | None = None,
    labels: str | None = None,
) -> LabelledSeries:
    """Choose the variables of a table and set its time stamps and labels apart.

    Without `columns`, every column but `time` and `labels` is a variable, and each must be numeric and must
    not look like a time stamp, a row counter or labels.

    Raises
    ------
    InputError
        If a column is unknown, named twice, not numeric or of doubtful meaning, if none is left, or if the
        labels are not 0 and 1.
    """
    for name in (*columns, time, labels):
        if name is not None and name not in table.columns:
            raise InputError(f"{table.source} has no column {name!r}; it has {_quoted(table.columns)}")
    roles = [*columns, *(name for name in (time, labels) if name is not None)]
    for name in roles:
        if roles.count(name) > 1:
            raise InputError(
                f"column {name!r} is given twice; a column is one variable, the time or the labels"
            )
    names = tuple(columns) or tuple(name for name in table.columns if name not in (time, labels))
    if not names:
        raise InputError(f"{table.source} has no column besides the time and the labels; nothing to score")
    values = np.stack([_numbers(table, name) for name in names], axis=1)
    if not columns:
        for name in names:
            _check_is_measurement(table, name)
    return LabelledSeries(
        values=values,
        names=names,
        time=None if time is None else table.columns[time],
        time_name=time,
        labels=None if labels is None else _as_labels(table, labels),
    )


def _quoted(names: Iterable[str], limit: int = 20) -> str:
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _numbers(table: Table, name: str) -> np.ndarray:
    """Return a column as ``(T,)`` float64; text counts if every cell is a number or empty."""
    column = table.columns[name]
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    came, hint = "time stamps", ""
    if column.dtype.kind != "M":
        numbers = [
            np.nan if cell is None or cell != cell else to_float(cell, table.decimal) for cell in column
        ]
        if None not in numbers:
            return np.array(numbers, dtype=np.float64)
        row = numbers.index(None)
        came = f"{str(column[row])[:40]!r} in row {row + 1}"
        hint = _notation_hint(table, column, numbers)
    raise InputError(
        f"column {name!r} is not numeric ({came}); {hint}leave it out by naming the variables with "
        "--column, or say what it is with --time or --labels"
    )


def _notation_hint(table: Table, column: np.ndarray, numbers: list[float | None]) -> str:
    """Return which option makes numbers of a column of text, where there may be one."""
    texts = [str(cell).strip() for cell, number in zip(column, numbers, strict=True) if number is None]
    if table.decimal == "." and all(is_decimal_comma(text) for text in texts):
        return "where the comma is its decimal mark, add --decimal , ; else "
    # A word for a missing value comes again and again among numbers, or is no word at all.
    words = sorted(set(texts), key=texts.index)
    rare = len(texts) < len(numbers) / 2 or not any(map(str.isalnum, "".join(words)))
    if rare and len(words) <= _MOST_WORDS:
        options = " ".join(f"--na={shlex.quote(word)}" for word in words)
        return f"where that means that a value is missing, add {options} ; else "
    return ""


def _check_is_measurement(table: Table, name: str) -> None:
    """Refuse a numeric column that nobody asked for and that looks like something else."""
    looks = doubtful_role(name, table.columns[name])
    if looks is not None:
        option = "--labels" if looks == "labels" else "--time"
        raise InputError(
            f"column {name!r} looks like {looks}; say so with {option} {name!r}, or name the variables with "
            "--column"
        )


def _as_labels(table: Table, name: str) -> np.ndarray:
    column = table.columns[name]
    if column.dtype.kind in "biuf":
        wrong = ~np.isin(column, (0, 1))
        if not wrong.any():
            return column.astype(np.int8)
        row = int(np.argmax(wrong))
    else:
        row = next(row for row, cell in enumerate(column) if to_float(cell) not in (0.0, 1.0))
    raise InputError(
        f"labels must be 0 (normal) or 1 (anomalous); column {name!r} holds {column[row]} in row {row + 1}"
    )
