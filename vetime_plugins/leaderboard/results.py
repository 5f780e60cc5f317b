"""A folder of results: what every detector gave on every series, and how good it was.

.. code-block:: text

    results/
      pyod-knn/                    one folder a detector, called like it
        <series>.json              the cell: status, metrics, times, versions
        <series>.npz               its scores of the test part, absent where the detector failed
      pyod-knn(n_neighbors=10)/
      _series/<series>.npz         the series itself, once: values, labels, train length, buffer

Every file appears under its name only when it is complete, and the JSON of a cell last: whenever a run is cut
off, what the folder holds is whole. Metrics can be taken again and reports drawn without the data set.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import asdict, field, replace
from os import PathLike
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict
from pydantic.dataclasses import dataclass

from vetime_plugins._files import write_arrays, write_whole
from vetime_plugins._validation import validate
from vetime_plugins.errors import InputError

__all__ = [
    "ERROR",
    "OK",
    "OOM",
    "SCHEMA",
    "STATUSES",
    "TIMEOUT",
    "Cell",
    "StoredSeries",
    "cell_path",
    "load_scores",
    "load_series",
    "read_cell",
    "read_cells",
    "write_cell",
    "write_series",
    "write_text",
]

SCHEMA = 1
"""Version of the layout; a reader refuses files of another one."""

OK, ERROR, TIMEOUT, OOM = STATUSES = ("OK", "ERROR", "TIMEOUT", "OOM")


def _known_status(status: str) -> str:
    if status not in STATUSES:
        raise InputError(f"status must be one of {', '.join(STATUSES)}, got {status!r}")
    return status


# JSON has no NaN, and an empty cell of a table stands for it too.
_Number = Annotated[float, BeforeValidator(lambda value: math.nan if value in (None, "") else value)]

_SERIES = "_series"
_REASON = 300  # characters of the reason of a failure that tables show
_READABLE = " ()[]=,+-_.'"  # what stays as it is in a file name; the rest is percent-encoded


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Cell:
    """What one detector gave on one series.

    Attributes
    ----------
    task : str
        Name of the task.
    detector : str
        Name of the detector, with those of its parameters that are not its own defaults.
    framework : str
        Where the detector comes from; empty where that was not recorded.
    series, dataset : str
        Which series; `series` alone is unique in a task.
    status : {"OK", "ERROR", "TIMEOUT", "OOM"}
    error : str or None
        Why it failed: the traceback, or which limit was crossed.
    metrics : dict of str to float
        NaN where the labels leave a metric undefined, and for every metric where the detector failed.
    undefined : dict of str to str
        For each undefined metric the reason.
    parameters : dict
        All parameters of the detector, of types that JSON knows.
    fit_seconds, score_seconds : float
        Wall time; NaN where the detector did not get so far.
    saw_train : bool or None
        Whether it was fitted on the train part; None where that was not recorded.
    n_points, n_variables, train_length : int
        Size of the whole series, and its points that come before those that are judged.
    buffer : int
        Tolerance of VUS and PATE, in points.
    kind : str
        Kind of the anomalies, where all are of one kind that is known; empty otherwise.
    n_anomalies : int or None
        Anomalies that are judged: runs of labelled points after the train part. None where that was not
        recorded.
    trained_on, tuned_on : tuple of str or None
        Data sets and tasks that the detector's weights were trained on, and that its rules or parameters were
        chosen on, as it says itself; None where it does not say.
    date : str
        Day of the run, in UTC, like ``"2025-01-31"``; empty where that was not recorded.
    device : str
        What the detector ran on, e.g. ``"cpu"``.
    peak_gpu_bytes : int or None
        Most memory of the GPU that was in use at a time; None without a GPU.
    seed : int or None
    versions : dict of str to str
        Versions of the packages that the scores may depend on.
    hardware : dict
        The machine.
    fingerprint : str
        What decides over the scores, as one hash: a cell with another one is out of date.
    """

    task: str
    detector: str
    series: str
    dataset: str
    status: Annotated[str, AfterValidator(_known_status)]
    error: str | None
    metrics: dict[str, _Number]
    undefined: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    fit_seconds: _Number = math.nan
    score_seconds: _Number = math.nan
    saw_train: bool | None = None
    n_points: int = 0
    n_variables: int = 1
    train_length: int = 0
    buffer: int = 0
    kind: str = ""
    n_anomalies: int | None = None
    trained_on: tuple[str, ...] | None = None
    tuned_on: tuple[str, ...] | None = None
    date: str = ""
    framework: str = ""
    device: str = "cpu"
    peak_gpu_bytes: int | None = None
    seed: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def failed(self) -> bool:
        """Whether the detector gave no usable scores."""
        return self.status != OK

    @property
    def reason(self) -> str:
        """The last line of `error`, cut and without control characters; empty where there is none."""
        lines = (
            "".join(one if one.isprintable() else " " for one in line).strip()
            for line in reversed((self.error or "").splitlines())
        )
        line = next(filter(None, lines), "")
        return line if len(line) <= _REASON else f"{line[: _REASON - 5]}[...]"

    def replace(self, **changes: Any) -> Cell:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclasses.dataclass(frozen=True, eq=False)
class StoredSeries:
    """A series as a folder of results keeps it.

    Attributes
    ----------
    values : numpy.ndarray of float64, shape (T, C)
    labels : numpy.ndarray of int8, shape (T,)
    train_length : int
        Points at the beginning that are not judged; the stored scores are those of the points after them.
    buffer : int
        Tolerance of VUS and PATE, in points.
    """

    values: np.ndarray
    labels: np.ndarray
    train_length: int
    buffer: int

    @property
    def test_labels(self) -> np.ndarray:
        """Labels of the points that the stored scores belong to."""
        return self.labels[self.train_length :]


def write_cell(folder: str | PathLike[str], cell: Cell, scores: np.ndarray | None = None) -> Path:
    """Write a cell in the place of an earlier one, all of it or nothing.

    Parameters
    ----------
    folder : str or path
        Folder of results; made where it is missing.
    cell : Cell
    scores : numpy.ndarray of shape (n_points - train_length,), optional
        Scores of the test part. Left out, stored ones stay where they are, as when metrics are taken again;
        those of a cell that failed are removed.

    Returns
    -------
    pathlib.Path
        The JSON file.

    Raises
    ------
    InputError
        If the scores are not those of the test part.
    """
    path = cell_path(folder, cell.detector, cell.series)
    archive = path.with_suffix(".npz")
    if scores is not None:
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != (cell.n_points - cell.train_length,):
            raise InputError(
                f"scores of {cell.series} must have the shape ({cell.n_points - cell.train_length},), "
                f"got {values.shape}"
            )
        path.unlink(missing_ok=True)  # until the new one is there, the old one would go with other scores
        _write_arrays(archive, scores=values)
    record = {"schema": SCHEMA, **asdict(cell)}
    # Not by pydantic, which cannot write the half characters that a traceback or a file name may hold.
    write_text(path, json.dumps(_without_nan(record), indent=1, allow_nan=False) + "\n")
    if cell.failed:
        archive.unlink(missing_ok=True)
    return path


def read_cell(path: str | PathLike[str]) -> Cell:
    """Read one cell from its JSON file; InputError if that is missing, damaged or of another schema."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        schema = record.pop("schema")
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a cell of results: {type(error).__name__}: {error}") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has the schema {schema!r}, this version reads {SCHEMA}; run it again")
    return validate(Cell, record, f"{path} is not a cell of results")


def read_cells(folder: str | PathLike[str]) -> list[Cell]:
    """Read all cells of a folder of results.

    Parameters
    ----------
    folder : str or path

    Returns
    -------
    list of Cell
        Sorted by detector, data set and series.

    Raises
    ------
    InputError
        If there is no such folder, or a file in it is no cell.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"no folder of results {root}; make one with: vetime leaderboard run TASK --out DIR")
    cells = [read_cell(path) for path in root.glob("*/*.json") if path.parent.name[0] not in "._"]
    return sorted(cells, key=lambda cell: (cell.detector, cell.dataset, cell.series))


def load_scores(folder: str | PathLike[str], cell: Cell) -> np.ndarray:
    """Return the scores of a cell.

    Parameters
    ----------
    folder : str or path
        The folder that the cell was read from.
    cell : Cell

    Returns
    -------
    numpy.ndarray of float64, shape (n_points - train_length,)
        Scores of the test part.

    Raises
    ------
    InputError
        If the detector failed on the series, or the file is missing or damaged.
    """
    path = cell_path(folder, cell.detector, cell.series).with_suffix(".npz")
    if cell.failed:
        raise InputError(f"{cell.detector} has no scores of {cell.series}: its status is {cell.status}")
    return _read_arrays(path, "scores")[0]


def write_series(folder: str | PathLike[str], name: str, series: StoredSeries) -> Path:
    """Keep a series, which cells call `name`, beside the results: all of it or nothing."""
    path = _series_path(folder, name)
    _write_arrays(path, **vars(series))
    return path


def load_series(folder: str | PathLike[str], name: str) -> StoredSeries:
    """Return a series that was kept beside the results; `name` is `Cell.series`.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    values, labels, train_length, buffer = _read_arrays(
        _series_path(folder, name), "values", "labels", "train_length", "buffer"
    )
    return StoredSeries(values, labels, int(train_length), int(buffer))


def cell_path(folder: str | PathLike[str], detector: str, series: str) -> Path:
    """Return where the JSON of a cell is, or would be."""
    return Path(folder) / _file_name(detector) / f"{_file_name(series)}.json"


def _series_path(folder: str | PathLike[str], name: str) -> Path:
    return Path(folder) / _SERIES / f"{_file_name(name)}.npz"


def _file_name(name: str) -> str:
    """Return a name as a file name of any system: distinct for distinct names, and never hidden."""
    encoded = quote(name, safe=_READABLE)
    return f"%{ord(encoded[0]):02X}{encoded[1:]}" if encoded[:1] in {".", "_", " "} else encoded


def _without_nan(value: Any) -> Any:
    """Return what JSON can hold: NaN becomes null."""
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_text(path: Path, text: str) -> None:
    """Write a text file that is there completely or not at all."""
    write_whole(path, text.encode())


def _write_arrays(path: Path, **arrays: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, **arrays)


def _read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    try:
        # numpy leaves a file open that it cannot read
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"cannot read {path}: {type(error).__name__}: {error}") from error
