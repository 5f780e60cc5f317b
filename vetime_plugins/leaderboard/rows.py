"""Results of an evaluation, one row a series, and the CSV file that keeps them."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from vetime_plugins.errors import InputError

__all__ = ["Row", "RowFile"]

_FIXED = (
    "detector",
    "dataset",
    "file",
    "n_points",
    "n_test",
    "n_variables",
    "buffer",
    "status",
    "seconds",
)
_NOTE = "note"


@dataclasses.dataclass(frozen=True)
class Row:
    """What one detector achieved on one series.

    Attributes
    ----------
    detector, dataset, file : str
        Which run this is; unique together.
    n_points, n_test, n_variables : int
        Length of the series, of the part that is judged, and number of variables.
    buffer : int
        Tolerance of VUS and PATE, in points.
    metrics : dict of str to float
        Values by name; NaN where the labels leave them undefined and where the detector failed.
    status : str
        "OK" or "ERROR".
    seconds : float
        Wall time of the detector.
    note : str
        Why the metrics are undefined, or what went wrong.
    """

    detector: str
    dataset: str
    file: str
    n_points: int
    n_test: int
    n_variables: int
    buffer: int
    metrics: dict[str, float]
    status: str = "OK"
    seconds: float = math.nan
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Detector, data set and file."""
        return self.detector, self.dataset, self.file

    @property
    def failed(self) -> bool:
        """Whether the detector gave no usable scores."""
        return self.status != "OK"

    @property
    def undefined(self) -> bool:
        """Whether the labels leave nothing to be measured."""
        return not self.failed and all(math.isnan(value) for value in self.metrics.values())

    def replace(self, **changes: Any) -> Row:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


class RowFile:
    """A CSV file of rows that survives being cut off at any moment.

    Rows are appended one by one and reach the disk before `append` returns. A last line that was cut off is
    dropped when the file is opened again.

    Parameters
    ----------
    path : str or path
        Need not exist; folders on the way are made with the first row.
    metrics : sequence of str
        Metric columns, in this order.
    """

    def __init__(self, path: str | PathLike[str], metrics: Sequence[str]) -> None:
        self.path = Path(path)
        self.metrics = tuple(metrics)
        self._header = [*_FIXED, *self.metrics, _NOTE]
        self._checked = False

    def read(self) -> list[Row]:
        """Return the rows that the file holds; of two on the same run the later one.

        Returns
        -------
        list of Row

        Raises
        ------
        InputError
            If the file has other columns or a damaged line.
        """
        text = self._text()
        if not text:
            return []
        reader = csv.DictReader(text.splitlines())
        if list(reader.fieldnames or ()) != self._header:
            raise InputError(
                f"{self.path} has other columns than this evaluation; name another file or its metrics"
            )
        rows = {}
        for number, record in enumerate(reader, start=2):
            try:
                row = _parse(record, self.metrics)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{self.path}, line {number}: not a row of results ({error})") from error
            rows[row.key] = row
        return list(rows.values())

    def append(self, row: Row) -> None:
        """Write one row.

        Parameters
        ----------
        row : Row
            With the metrics of this file.
        """
        if not self._checked:
            self._prepare()
        record = [getattr(row, name) for name in _FIXED]
        record += [row.metrics[name] for name in self.metrics]
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow([*map(_format, record), row.note])
            stream.flush()
            os.fsync(stream.fileno())

    def _text(self) -> str:
        """Return the content up to the last complete line."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self.path}: {error}") from error
        return text[: text.rfind("\n") + 1]

    def _prepare(self) -> None:
        """Make the file, or cut off an incomplete last line."""
        text = self._text()
        if not text:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = ",".join(self._header) + "\n"
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.path)
        self._checked = True


def _parse(record: dict[str, str], metrics: Sequence[str]) -> Row:
    return Row(
        detector=record["detector"],
        dataset=record["dataset"],
        file=record["file"],
        n_points=int(record["n_points"]),
        n_test=int(record["n_test"]),
        n_variables=int(record["n_variables"]),
        buffer=int(record["buffer"]),
        metrics={name: float(record[name] or math.nan) for name in metrics},
        status=record["status"],
        seconds=float(record["seconds"]),
        note=record[_NOTE],
    )


def _format(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(round(value, 10))
    return str(value)
