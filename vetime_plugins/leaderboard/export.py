"""All cells of a run in one CSV file: to be kept, shared, and read by anything.

The file has a row a cell and a column a metric, empty where it is undefined or the detector failed, and a
dash where it was not taken. What stays in the folder of results alone: scores, series, and of tracebacks all
but the last line. ``vetime leaderboard report`` takes such a file as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from vetime_plugins._lazy import need
from vetime_plugins._spreadsheet import guard, unguard
from vetime_plugins._validation import validate
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import results
from vetime_plugins.leaderboard.results import Cell, write_text
from vetime_plugins.metrics import METRIC_NAMES

__all__ = ["load_cells", "read_cells", "write_cells"]

_COLUMNS = (
    "task",
    "detector",
    "framework",
    "dataset",
    "series",
    "status",
    "saw_train",
    "n_points",
    "n_variables",
    "train_length",
    "buffer",
    "kind",
    "n_anomalies",
    "trained_on",
    "tuned_on",
    "date",
    "fit_seconds",
    "score_seconds",
    "device",
    "peak_gpu_bytes",
    "seed",
    "parameters",
    "versions",
    "hardware",
    "error",
)
_LATER = (
    "framework",
    "kind",
    "n_anomalies",
    "trained_on",
    "tuned_on",
    "date",
    "hardware",
)  # columns that older files lack
_MAPPINGS = ("parameters", "versions", "hardware")
_LISTS = ("trained_on", "tuned_on")
_NOT_MEASURED = "-"  # an empty field is a metric that is undefined
_DIGITS = ".6g"  # of metrics and seconds; other machines differ in more


def write_cells(path: str | PathLike[str], cells: Sequence[Cell]) -> Path:
    """Write cells as a CSV file: all of it or nothing.

    Text that begins like a formula gets an apostrophe before it, which `read_cells` takes away.

    Where a metric was taken from some of the scores only, as in rows that were added to older ones, the
    others have a dash for it.

    Raises
    ------
    InputError
        If there is no cell.
    MissingDependencyError
        If pandas is not installed.
    """
    if not cells:
        raise InputError("there are no cells to write; run the leaderboard first")
    metrics = list(dict.fromkeys(name for cell in cells for name in cell.metrics))
    metrics.sort(key=lambda name: METRIC_NAMES.index(name) if name in METRIC_NAMES else len(METRIC_NAMES))
    rows = []
    for cell in sorted(cells, key=lambda one: (one.detector, one.dataset, one.series)):
        found = {name: getattr(cell, name) for name in _MAPPINGS}
        texts = {name: json.dumps(one, sort_keys=True) if one else "" for name, one in found.items()}
        texts |= {name: "" if (one := getattr(cell, name)) is None else json.dumps(one) for name in _LISTS}
        seconds = {name: _shorten(getattr(cell, name)) for name in ("fit_seconds", "score_seconds")}
        values = {
            one: _shorten(cell.metrics[one]) if one in cell.metrics else _NOT_MEASURED for one in metrics
        }
        rows.append({**vars(cell), **texts, **seconds, "error": cell.reason, **values})
    rows = [{name: one if name in metrics else guard(one) for name, one in row.items()} for row in rows]
    frame = pandas().DataFrame(rows, columns=[*_COLUMNS, *metrics], dtype=object)  # whole numbers stay whole
    path = Path(path)
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    return path


def _shorten(value: float) -> str:
    return "" if math.isnan(value) else format(value, _DIGITS)


def read_cells(path: str | PathLike[str]) -> list[Cell]:
    """Read a file of `write_cells`, in its order; what it does not hold is empty or the default.

    Raises
    ------
    InputError
        If it is no such file, or a line is damaged.
    MissingDependencyError
        If pandas is not installed.
    """
    try:
        frame = pandas().read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # of the file, its encoding, its columns
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    missing = [name for name in _COLUMNS if name not in frame and name not in _LATER]
    if missing:
        raise InputError(f"{path} is no file of `vetime leaderboard export`: it lacks {', '.join(missing)}")
    metrics = [name for name in frame if name not in _COLUMNS]
    return [
        validate(Cell, _as_fields(record, metrics), f"{path}, line {line}: not a cell of results")
        for line, record in enumerate(frame.to_dict("records"), start=2)
    ]


def load_cells(source: str | PathLike[str]) -> list[Cell]:
    """Read all cells of a folder of results, or of a file of `write_cells`."""
    return read_cells(source) if Path(source).is_file() else results.read_cells(source)


def _as_fields(record: dict[str, str], metrics: Sequence[str]) -> dict[str, Any]:
    """Return the fields that a row fills; a damaged mapping stays the text that it is, and is refused."""
    unknown = {"task": "", "device": ""}  # where they were not recorded; other empty fields are the defaults
    fields: dict[str, Any] = unknown | {name: unguard(record[name]) for name in _COLUMNS if record.get(name)}
    for name in (one for one in (*_MAPPINGS, *_LISTS) if record.get(one)):
        try:
            fields[name] = json.loads(record[name])
        except ValueError:
            fields[name] = record[name]
    measured = {name: record[name] for name in metrics if record[name] != _NOT_MEASURED}
    return {"error": None, **fields, "metrics": measured}


def pandas() -> Any:
    """Return pandas; MissingDependencyError without it."""
    return need("pandas", "tables need pandas>=2.1", extra="report")
