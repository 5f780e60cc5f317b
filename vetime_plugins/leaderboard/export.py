"""All cells of a run in one CSV file: to be kept, shared, and read by anything.

The file has a row a cell and a column a metric, empty where it is undefined or the detector failed. What
stays in the folder of results alone: scores, series, the machine, and of tracebacks all but the last line.
``vetime leaderboard report`` takes such a file as well.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.results import STATUSES, Cell, write_text

__all__ = ["read_cells", "write_cells"]

_DIGITS = 6  # of metrics and seconds; other machines differ in more


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{_DIGITS}g}"


def _mapping(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True) if value else ""


def _read_number(text: str) -> float:
    return float(text) if text else math.nan


def _read_flag(text: str) -> bool:
    return {"True": True, "False": False}[text]


def _read_mapping(text: str) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    if not isinstance(found, dict):
        raise ValueError(f"{text} is no mapping")
    return found


_COLUMNS: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "task": (_text, str),
    "detector": (_text, str),
    "dataset": (_text, str),
    "series": (_text, str),
    "status": (_text, str),
    "saw_train": (_text, _read_flag),
    "n_points": (_text, int),
    "n_variables": (_text, int),
    "train_length": (_text, int),
    "buffer": (_text, int),
    "fit_seconds": (_number, _read_number),
    "score_seconds": (_number, _read_number),
    "device": (_text, str),
    "peak_gpu_bytes": (_text, lambda text: int(text) if text else None),
    "seed": (_text, int),
    "parameters": (_mapping, _read_mapping),
    "versions": (_mapping, _read_mapping),
    "error": (_text, lambda text: text or None),
}


def write_cells(path: str | PathLike[str], cells: Sequence[Cell]) -> Path:
    """Write cells as a CSV file, all of it or nothing.

    Parameters
    ----------
    path : str or path
    cells : sequence of Cell
        All with the same metrics, as those of one run are.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there is no cell, or one has other metrics than the first.
    """
    if not cells:
        raise InputError("there are no cells to write; run the leaderboard first")
    metrics = list(cells[0].metrics)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_COLUMNS, *metrics])
    for cell in sorted(cells, key=lambda one: (one.detector, one.dataset, one.series)):
        if set(cell.metrics) != set(metrics):
            raise InputError(
                f"{cell.detector} on {cell.series} has the metrics {', '.join(cell.metrics)}, others have "
                f"{', '.join(metrics)}; take them again with: vetime leaderboard metrics"
            )
        brief = cell.replace(error=cell.reason or None)
        row = [write(getattr(brief, name)) for name, (write, _) in _COLUMNS.items()]
        writer.writerow([*row, *(_number(cell.metrics[name]) for name in metrics)])
    path = Path(path)
    write_text(path, stream.getvalue())
    return path


def read_cells(path: str | PathLike[str]) -> list[Cell]:
    """Read a file of `write_cells`.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    list of Cell
        In the order of the file; `hardware`, `undefined` and `fingerprint` are empty.

    Raises
    ------
    InputError
        If it is no such file, or a line is damaged.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    reader = csv.DictReader(io.StringIO(text))
    header = list(reader.fieldnames or ())
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise InputError(f"{path} is no file of `vetime leaderboard export`: it lacks {', '.join(missing)}")
    metrics = [name for name in header if name not in _COLUMNS]
    cells = []
    for record in reader:
        try:
            values = {name: read(record[name]) for name, (_, read) in _COLUMNS.items()}
            found = Cell(**values, metrics={name: _read_number(record[name]) for name in metrics})
            if found.status not in STATUSES:
                raise ValueError(f"unknown status {found.status!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {reader.line_num}: not a cell of results ({error})") from error
        cells.append(found)
    return cells
