"""Reading labelled series in the layout of the TSB-AD benchmark.

A file is a CSV table with one row a point, one column a variable and the labels in the last column, called
``Label``. Its name says how many points come first without a label to be judged by (``tr``), and where the
first anomaly is (``1st``): ``001_NAB_id_1_Facility_tr_1007_1st_2014.csv``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.metrics import explain_undefined

__all__ = ["BenchmarkSeries", "SeriesFile", "find_series", "iterate_series", "read_series"]

_NAME = re.compile(r"(?:\d+_)?(?P<dataset>.+?)_id_\d+.*?_tr_(?P<train>\d+)_1st_\d+$")
_EXAMPLE = "001_NAB_id_1_Facility_tr_1007_1st_2014.csv"


@dataclass(frozen=True, eq=False)
class BenchmarkSeries:
    """One labelled series.

    Attributes
    ----------
    name : str
        File name without its suffix.
    dataset : str
        Data set that the series belongs to.
    values : numpy.ndarray of float64, shape (T, C)
        NaN where a cell was empty.
    labels : numpy.ndarray of int8, shape (T,)
        1 for anomalous points.
    train_length : int
        Number of points at the beginning that detectors may learn from and that are not judged.
    kind : str
        Kind of its anomalies, where all are of one kind that is known; empty otherwise.
    """

    name: str
    dataset: str
    values: np.ndarray
    labels: np.ndarray
    train_length: int
    kind: str = ""

    @property
    def test(self) -> slice:
        """The part that metrics are taken on."""
        return slice(self.train_length, None)


@dataclass(frozen=True)
class SeriesFile:
    """A file that has been found, not read: its path, its data set and its train length."""

    path: Path
    dataset: str
    train_length: int


def read_series(path: str | PathLike[str], *, dataset: str | None = None) -> BenchmarkSeries:
    """Read one series.

    Parameters
    ----------
    path : str or path
        A file named like ``001_NAB_id_1_Facility_tr_1007_1st_2014.csv``.
    dataset : str, optional
        Name of the data set; the one in the file name where left out.

    Returns
    -------
    BenchmarkSeries

    Raises
    ------
    InputError
        If there is no such file, its name says no train length, or its content is not a table of numbers with
        labels of 0 and 1 in a last column ``Label``.
    """
    file = _parse(Path(path), dataset)
    try:
        with file.path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
            if len(header) < 2 or header[-1].strip().lower() != "label":
                raise InputError(
                    f"{path} must have the variables and then Label as columns, got {', '.join(header[-5:])}"
                )
            table = _read_numbers(file.path, stream)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error.reason}") from error
    if table.shape[1] != len(header) or table.shape[0] == 0:
        raise InputError(f"{path} must have rows of {len(header)} numbers, got a table of {table.shape}")
    labels = table[:, -1]
    try:
        explain_undefined(labels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if file.train_length >= len(table):
        raise InputError(
            f"{path} has {len(table)} points, but by its name {file.train_length} of them are for training"
        )
    return BenchmarkSeries(
        name=file.path.stem,
        dataset=file.dataset,
        values=np.ascontiguousarray(table[:, :-1]),
        labels=labels.astype(np.int8),
        train_length=file.train_length,
    )


def find_series(folder: str | PathLike[str], *, datasets: Iterable[str] | None = None) -> list[SeriesFile]:
    """List the series of a folder without reading them, sorted by data set and file name.

    Parameters
    ----------
    folder : str or path
        Holds the files, or one folder of files for each data set. Where it holds an ``INDEX.csv`` with the
        columns ``dataset`` and ``file``, that decides which files belong to it and what their data set is
        called; otherwise every file with such a name does, and a data set is called like its folder, or as
        the file names have it where they lie in `folder` itself.
    datasets : iterable of str, optional
        Only these data sets.

    Raises
    ------
    InputError
        If there is no such folder, no series in it, an unknown data set is asked for, or the index names a
        file that is missing.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"no folder {root}; name one that holds series like {_EXAMPLE}")
    index = root / "INDEX.csv"
    found = _from_index(root, index) if index.is_file() else _from_names(root)
    if not found:
        raise InputError(f"no series in {root}: files must be named like {_EXAMPLE}")
    if datasets is not None:
        wanted = set(datasets)
        unknown = sorted(wanted - {file.dataset for file in found})
        if unknown:
            known = ", ".join(sorted({file.dataset for file in found}))
            raise InputError(f"no data set {', '.join(unknown)} in {root}; there are {known}")
        found = [file for file in found if file.dataset in wanted]
    return sorted(found, key=lambda file: (file.dataset, file.path.name))


def iterate_series(
    folder: str | PathLike[str], *, datasets: Iterable[str] | None = None
) -> Iterator[BenchmarkSeries]:
    """Read the series of a folder one after the other.

    Parameters
    ----------
    folder : str or path
    datasets : iterable of str, optional
        Names of data sets to keep.

    Yields
    ------
    BenchmarkSeries

    Raises
    ------
    InputError
        As in `find_series` and `read_series`.
    """
    for file in find_series(folder, datasets=datasets):
        yield read_series(file.path, dataset=file.dataset)


def _parse(path: Path, dataset: str | None) -> SeriesFile:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise InputError(f"cannot tell the train length of {path.name}; name the file like {_EXAMPLE}")
    return SeriesFile(path, dataset or match["dataset"], int(match["train"]))


def _from_names(root: Path) -> list[SeriesFile]:
    paths = [path for path in root.rglob("*.csv") if _NAME.fullmatch(path.stem)]
    return [_parse(path, None if path.parent == root else path.parent.name) for path in paths]


def _from_index(root: Path, index: Path) -> list[SeriesFile]:
    with index.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        if not {"dataset", "file"} <= set(rows.fieldnames or ()):
            raise InputError(f"{index} must have the columns dataset and file, got {rows.fieldnames}")
        found = []
        for row in rows:
            candidates = (root / row["dataset"] / row["file"], root / row["file"])
            path = next((path for path in candidates if path.is_file()), None)
            if path is None:
                raise InputError(f"{index} lists {row['file']}, which is not in {candidates[0].parent}")
            found.append(_parse(path, row["dataset"]))
    return found


def _read_numbers(path: Path, stream: Iterable[str]) -> np.ndarray:
    """Read the rows after the header; an empty cell becomes NaN."""
    lines = [line for line in stream if line.strip()]
    if not lines:
        raise InputError(f"{path} holds no row below its header")
    try:
        return np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
    except ValueError as reason:
        filled = [",".join(cell if cell.strip() else "nan" for cell in line.split(",")) for line in lines]
        try:
            return np.loadtxt(filled, delimiter=",", ndmin=2, comments=None)
        except ValueError:
            raise InputError(f"{path} must hold numbers only below its header: {reason}") from reason
