"""Tables in and scores out: what the command line reads and writes.

CSV needs nothing beyond the core (pandas parses it where installed, several times faster); parquet needs
the extra ``cli``.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import importlib.util
import io
import re
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vetime_plugins._files import whole_file
from vetime_plugins._spreadsheet import guard
from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = ["Table", "read_table", "write_scores"]

STDIN = "-"
PARQUET_SUFFIXES = (".parquet", ".pq")
_NO_PARQUET = 'parquet needs pandas>=2.1 and pyarrow>=15,<26; run: pip install "vetime-plugins[cli]"'
_SEPARATORS = (",", ";", "\t")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?")
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None", "none")


@dataclass(frozen=True)
class Table:
    """Named columns of one length, each ``(T,)``: numeric, bool, ``datetime64``, or ``object`` (text).

    `source` says where the table came from, for messages; `decimal` is the decimal mark of numbers in text.
    """

    source: str
    columns: dict[str, np.ndarray]
    decimal: str = "."

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))


@dataclass(frozen=True)
class _Notation:
    """How a CSV file writes numbers: its decimal mark, and what stands for a missing value."""

    decimal: str = "."
    missing: tuple[str, ...] = _MISSING

    def is_missing(self, cell: str) -> bool:
        if cell in self.missing:
            return True
        # A number that stands for nothing, such as -999, does so however many zeros are behind its point.
        return len(self.missing) > len(_MISSING) and self.number(cell) in self.numbers

    @cached_property
    def numbers(self) -> frozenset[float]:
        found = {self.number(token) for token in self.missing[len(_MISSING) :]}
        return frozenset(value for value in found if value is not None)

    def number(self, cell: str) -> float | None:
        return to_float(cell, self.decimal)


def read_table(
    path: str | Path,
    *,
    separator: str | None = None,
    header: bool | None = None,
    decimal: str = ".",
    missing: Sequence[str] = (),
) -> Table:
    """Read every column of a CSV or parquet file.

    Parameters
    ----------
    path : str or Path
        ``*.parquet`` / ``*.pq``, or text with separators (``*.gz`` is unpacked); ``-`` is CSV on stdin.
    separator : str, optional
        Of a CSV file; found in its first line (comma, semicolon or tab) when not given.
    header : bool, optional
        Whether the first line of a CSV file names the columns. When not given, a first line of nothing but
        numbers is refused, since either guess could be wrong. Without a header the columns are ``"0"``,
        ``"1"``, ...
    decimal : {".", ","}
        Decimal mark of a CSV file. With a comma, a comma is not looked for as the separator.
    missing : sequence of str
        Cells of a CSV file that stand for a missing value, besides the usual ``""``, ``"NA"``, ``"nan"``,
        ``"NULL"``, ...

    Raises
    ------
    InputError
        If the file is missing, damaged, empty, not UTF-8 text or has no rows, or if a row has more cells than
        there are names.
    MissingDependencyError
        If a parquet file is given without pandas and pyarrow.
    """
    if decimal not in (".", ","):
        raise InputError(f"the decimal mark must be . or , but is {decimal!r}")
    notation = _Notation(decimal, (*_MISSING, *(token.strip() for token in missing)))
    source = "standard input" if str(path) == STDIN else str(path)
    try:
        if source.endswith(PARQUET_SUFFIXES):
            columns = _read_parquet(Path(path), source)
        else:
            with _open_text(path) as stream:
                columns = _read_csv(stream, source, separator, header, notation)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is not text in UTF-8 ({error.reason}); give a CSV or parquet file"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"no such file: {source}") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{source} is a damaged .gz file ({error}); fetch or pack it again") from error
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    table = Table(source, columns, decimal)
    if not len(table):
        raise InputError(f"{source} has no rows; at least one is needed")
    return table


def _has(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_parquet(path: Path, source: str) -> dict[str, np.ndarray]:
    if not _has("pandas", "pyarrow"):
        raise MissingDependencyError(_NO_PARQUET)
    import pandas as pd

    try:
        import pyarrow as pa
    except ImportError as error:  # installed, but for another numpy
        raise MissingDependencyError(f"{_NO_PARQUET} ({_one_line(error)})") from error

    try:
        frame = pd.read_parquet(path)
    except pa.ArrowException as error:
        raise InputError(f"{source} is not a readable parquet file: {_one_line(error)}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = (
            frame.reset_index()
        )  # a stored index is most often the time; it has to be named like any column
    return _from_frame(frame)


def _open_text(path: str | Path) -> TextIO:
    """Open a text file that can be rewound; ``-`` is standard input.

    Lines end in a line feed whatever the file has: pandas never comes back from some that end in a carriage
    return and are blank.
    """
    if str(path) == STDIN:
        return io.StringIO(sys.stdin.buffer.read().decode("utf-8-sig"), newline=None)
    if str(path).endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return open(path, encoding="utf-8-sig")


def _read_csv(
    stream: TextIO, source: str, separator: str | None, header: bool | None, notation: _Notation
) -> dict[str, np.ndarray]:
    first = stream.readline()
    if not first.strip():
        raise InputError(f"{source} is empty")
    if separator is None:
        marks = [mark for mark in _SEPARATORS if mark != notation.decimal]
        separator = max(marks, key=first.count)
    try:
        names = [name.strip() for name in next(csv.reader([first], delimiter=separator, strict=True))]
    except (csv.Error, TypeError) as error:  # a quote that never closes; a separator of two characters
        raise InputError(f"the first line of {source} cannot be read: {_one_line(error)}") from error
    numbered = [str(position) for position in range(len(names))]
    # A data frame without names is written with the header 0,1,2,...: no measurement looks like that.
    counted = len(names) > 1 and names == numbered
    if header is None and not counted and all(notation.number(name) is not None for name in names):
        raise InputError(
            f"the first line of {source} holds only numbers; add --no-header if they are data, "
            "--header if they are the names of the columns"
        )
    if header is False:
        names = numbered
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{source} has more than one column named {twice[0]!r}; rename them")
    stream.seek(0)
    while text := stream.read(2**20):
        if "\0" in text:  # behind one, pandas reads no further in a cell
            raise InputError(f"{source} is not text: it has bytes that are 0; give a CSV or parquet file")
    stream.seek(0)
    parse = _parse_with_pandas if _has("pandas") else _parse_with_csv
    try:
        return parse(stream, names, separator, header is not False, notation)
    except _NotATable as error:
        stream.seek(0)
        row = next(islice(stream, 1, None), "").strip()
        halves = separator == "," and all(is_decimal_comma(cell) for cell in _pairs(row.split(",")))
        hint = "; where the comma is the decimal mark, add --decimal ," if halves else ""
        raise InputError(f"{source} is not a clean table: {error}{hint}") from error


def _pairs(cells: list[str]) -> list[str]:
    """Put cells together that a decimal comma may have parted."""
    return [",".join(cells[i : i + 2]) for i in range(0, len(cells), 2)]


class _NotATable(Exception):
    """The text is not rows of cells under the given names."""


def _parse_with_pandas(
    stream: TextIO, names: list[str], separator: str, header: bool, notation: _Notation
) -> dict[str, np.ndarray]:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row longer than the header
            frame = pd.read_csv(
                stream,
                sep=separator,
                names=names,
                header=0 if header else None,
                index_col=False,
                skipinitialspace=True,
                keep_default_na=False,
                na_values=list(notation.missing),
                decimal=notation.decimal,
                low_memory=False,  # one dtype for a column, whatever the file's length
                float_precision="round_trip",  # the nearest number, as without pandas
            )
    except pd.errors.ParserWarning as error:
        raise _NotATable(f"its rows have more cells than the {len(names)} named in its first line") from error
    except pd.errors.ParserError as error:
        raise _NotATable(_one_line(error).removeprefix("Error tokenizing data. C error: ")) from error
    return {name: _settled(values, notation) for name, values in _from_frame(frame).items()}


def _settled(values: np.ndarray, notation: _Notation) -> np.ndarray:
    """Give a column of pandas' reader the type that it has without pandas."""
    if values.dtype.kind in "if":  # pandas knows no cell with a blank behind for one of its missing values
        gaps = np.isin(values, list(notation.numbers))
        return np.where(gaps, np.nan, values) if gaps.any() else values
    if values.dtype.kind == "u":  # whole numbers beyond int64
        return values.astype(np.float64)
    if values.dtype != object:
        return values
    return _to_array(["" if cell is None else str(cell).strip() for cell in values.tolist()], notation)


def _from_frame(frame: Any) -> dict[str, np.ndarray]:
    """Turn a data frame into numpy columns; nullable and Arrow numbers become float64 with NaN."""
    from pandas.api import types

    columns = {}
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufM":
            values = column.to_numpy()
        elif types.is_datetime64_any_dtype(column.dtype):
            values = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        elif types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = column.astype(object).where(column.notna(), None).to_numpy()
        columns[str(name)] = values
    return columns


def _parse_with_csv(
    stream: TextIO, names: list[str], separator: str, header: bool, notation: _Notation
) -> dict[str, np.ndarray]:
    columns: list[list[str]] = [[] for _ in names]
    line = ""

    def lines() -> Iterator[str]:
        nonlocal line
        for line in stream:  # noqa: UP028 (the last one is looked at below)
            yield line

    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in islice(reader, int(header), None):
            if any(row[len(names) :]):
                raise _NotATable(f"Expected {len(names)} fields in line {reader.line_num}, saw {len(row)}")
            # Blanks are no row, unlike an empty cell in quotes, and unlike two cells with a blank between.
            if len(row) > 1 or line.strip(" \t\r\n") or line[:1] == separator:
                for cells, cell in zip(columns, chain(row, repeat("")), strict=False):
                    cells.append(cell.strip())
    except csv.Error as error:
        raise _NotATable(_one_line(error)) from error
    return {name: _to_array(cells, notation) for name, cells in zip(names, columns, strict=True)}


def _to_array(cells: list[str], notation: _Notation) -> np.ndarray:
    """Give text cells the narrowest of int64, float64, bool and object that keeps all of them."""
    gaps = [notation.is_missing(cell) for cell in cells]
    missing = any(gaps)
    pairs = list(zip(cells, gaps, strict=True))
    filled = ["nan" if gap else _with_point(cell, notation.decimal) for cell, gap in pairs]
    if all(map(_may_be_number, filled)):
        for dtype in (np.float64,) if missing else (np.int64, np.float64):
            with suppress(ValueError, OverflowError):
                return np.array(filled, dtype=dtype)
    if {cell.lower() for cell in filled} <= {"true", "false", "nan"}:
        flags = [None if gap else cell.lower() == "true" for cell, gap in pairs]
        return np.array(flags, dtype=object if missing else bool)
    return np.array([None if gap else cell for cell, gap in pairs], dtype=object)


def is_decimal_comma(cell: Any) -> bool:
    """Tell whether a cell is a number with a decimal comma."""
    return _DECIMAL_COMMA.fullmatch(str(cell).strip()) is not None


def _may_be_number(cell: str) -> bool:
    """Tell apart what only Python takes for a number: 1_000, and the digits of other scripts."""
    return cell.isascii() and "_" not in cell


def _with_point(cell: str, decimal: str) -> str:
    """Return a cell as Python writes numbers; what has a point beside another mark is then no number."""
    if decimal == ".":
        return cell
    return "_" if "." in cell else cell.replace(decimal, ".")


def to_float(cell: Any, decimal: str = ".") -> float | None:
    """Return the number that a cell holds, or None."""
    try:
        text = _with_point(str(cell), decimal)
        return float(text) if _may_be_number(text) else None
    except (TypeError, ValueError):
        return None


def write_scores(
    target: str | Path,
    scores: np.ndarray,
    is_anomaly: np.ndarray,
    *,
    time: np.ndarray | None = None,
    time_name: str | None = None,
    labels: np.ndarray | None = None,
    ids: dict[str, np.ndarray] | None = None,
) -> None:
    """Write scores, flags and labels, each ``(T,)``, beside their time stamps or row numbers.

    A name of the time column that another column has becomes ``time``. `ids` are a column in front, whose
    name becomes ``id`` likewise. Where `target` is no parquet file it
    is CSV; ``-`` is CSV on standard output.

    In CSV, text that begins like a formula gets an apostrophe before it, so that no spreadsheet runs it.

    Raises
    ------
    InputError
        If the file cannot be written.
    MissingDependencyError
        If parquet is asked for without pandas and pyarrow.
    """
    columns = {"score": scores, "is_anomaly": np.asarray(is_anomaly, dtype=np.int8)}
    if labels is not None:
        columns["label"] = labels
    if time is None:
        columns = {"index": np.arange(len(scores)), **columns}
    else:
        columns = {"time" if time_name is None or time_name in columns else time_name: time, **columns}
    if ids is not None:
        columns = {"id" if name in columns else name: column for name, column in ids.items()} | columns
    write_columns(target, columns)


def write_columns(target: str | Path, columns: dict[str, np.ndarray]) -> None:
    """Write equally long columns to a parquet file, or as CSV to any other; ``-`` is standard output.

    Raises
    ------
    InputError
        If the file cannot be written.
    MissingDependencyError
        If parquet is asked for without pandas and pyarrow.
    """
    try:
        if str(target).endswith(PARQUET_SUFFIXES):
            if not _has("pandas", "pyarrow"):
                raise MissingDependencyError(_NO_PARQUET)
            import pandas as pd

            with whole_file(target) as file:
                pd.DataFrame(columns).to_parquet(file, index=False)
        elif str(target) == STDIN:
            _write_csv(sys.stdout, columns)
        else:
            with whole_file(target) as file:
                _write_csv(codecs.getwriter("utf-8")(file), columns)
    except BrokenPipeError:
        raise  # whoever reads the pipe has seen enough: no fault of the file
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error


def _write_csv(stream: TextIO | codecs.StreamWriter, columns: dict[str, np.ndarray]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(guard, columns))
    texts = [
        column.astype(str) if column.dtype.kind == "M" else map(guard, column.tolist())
        for column in columns.values()
    ]
    writer.writerows(zip(*texts, strict=True))
