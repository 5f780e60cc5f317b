"""Readers of labelled series, one for each layout in which data sets are published.

==========  ==============================================================================================
name        layout
==========  ==============================================================================================
tsb-ad      CSV files that say in their name how many points are for training
nab         the repository of the Numenta Anomaly Benchmark: ``data/`` and ``labels/combined_windows.json``
ucr         text files of the UCR anomaly archive that say in their name where the anomaly is
csv         any CSV files with a column of labels
textbook    series of one kind of anomaly each, in one ``.npz`` file or as CSV files, see `find_textbook`
care        wind farms of CARE to Compare, see `vetime_plugins.leaderboard.care`
generated   series made by `vetime_plugins.leaderboard.generated` and `vetime_plugins.leaderboard.patterns`
embedded    real series inside installed packages, see `vetime_plugins.leaderboard.embedded`
==========  ==============================================================================================
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import ConfigDict
from typing_extensions import TypedDict

from vetime_plugins._validation import Text
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries, find_series, read_series
from vetime_plugins.leaderboard.entries import SeriesEntry, make_series, read_rows
from vetime_plugins.metrics import explain_undefined

__all__ = ["READERS", "Reader"]

_UCR_NAME = re.compile(r"(?:\d+_)?UCR_Anomaly_(?P<title>.+)_(?P<train>\d+)_(?P<begin>\d+)_(?P<end>\d+)$")
_UCR_EXAMPLE = "001_UCR_Anomaly_DISTORTED1sddb40_35000_52000_52620.txt"
_TEXTBOOK_NAME = re.compile(r"[\w-]+\.[\w-]+\.n\d+\.v\d+")
_TEXTBOOK_EXAMPLE = "mean.sine.n5.v10"
_NAB_WINDOWS = Path("labels") / "combined_windows.json"


class NoOptions(TypedDict):
    """Options of readers that have none."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]


class CsvOptions(NoOptions, total=False):
    """Options of `find_csv`."""

    label: Text
    ignore: list[Text]
    delimiter: Text
    pattern: Text


class GeneratedOptions(NoOptions, total=False):
    """Options of `find_generated`."""

    set: Literal["kinds", "scenarios", "patterns"]


@dataclass(frozen=True)
class Reader:
    """How to find the series of a layout.

    Attributes
    ----------
    find : callable
        Called with the folder (None where there is none) and the options, returns the entries.
    options : type
        Names and types of the options that a task may set.
    needs_folder : bool
    knows_train_part : bool
        Whether the layout says which points are for training.
    """

    find: Callable[[Path | None, Mapping[str, Any]], list[SeriesEntry]] = field(repr=False)
    options: type = NoOptions
    needs_folder: bool = True
    knows_train_part: bool = True


def find_tsb_ad(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find series in the layout of TSB-AD, see `vetime_plugins.leaderboard.datasets`."""
    return [
        SeriesEntry(file.path.stem, file.dataset, partial(read_series, file.path, dataset=file.dataset))
        for file in find_series(_existing(folder))
    ]


def find_nab(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find the series of the Numenta Anomaly Benchmark in its repository, or in a folder that holds it.

    There is one for each entry of the labels; a data set is a folder of ``data``. Points within a window, its
    ends included, are anomalous. The train part is NAB's probationary period: 15 % of the points, at most
    750.
    """
    root = _existing(folder)
    found = sorted([root / _NAB_WINDOWS, *root.glob(f"*/{_NAB_WINDOWS}")], key=lambda path: len(path.parts))
    labels = next((path for path in found if path.is_file()), None)
    if labels is None:
        raise InputError(
            f"no {_NAB_WINDOWS} in {root}; name the folder of the NAB repository, as "
            "`vetime data fetch nab --to DIR` makes it"
        )
    try:
        windows = json.loads(labels.read_text(encoding="utf-8"))
        entries = []
        for file, spans in windows.items():
            data = labels.parents[1] / "data"
            path = data / file
            if not path.is_file() or not path.resolve().is_relative_to(data.resolve()):
                raise InputError(f"{labels} names {file}, which is not in {data}")
            bounds = [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in spans]
            dataset = Path(file).parts[0]
            entries.append(SeriesEntry(path.stem, dataset, partial(_read_nab, path, dataset, bounds)))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{labels} is no list of anomaly windows: {error}") from error
    return entries


def _read_nab(path: Path, dataset: str, bounds: Sequence[tuple[datetime, datetime]]) -> BenchmarkSeries:
    rows = read_rows(path)
    if [name.strip() for name in rows[0]] != ["timestamp", "value"]:
        raise InputError(f"{path} must have the columns timestamp and value, got {', '.join(rows[0])}")
    try:
        times = [datetime.fromisoformat(row[0]) for row in rows[1:]]
        values = np.array([float(row[1]) for row in rows[1:]])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path} must have rows of a time stamp and a number: {error}") from error
    labels = np.array([any(begin <= time <= end for begin, end in bounds) for time in times], dtype=np.int8)
    probation = min(math.floor(0.15 * len(values)), 750)
    return make_series(path.stem, dataset, values[:, None], labels, probation, path)


def find_ucr(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find the series of the UCR anomaly archive: text files at any depth of a folder.

    The three numbers in a name are the length of the train part and the begin and end of the anomaly. As in
    the TSB-AD benchmark they count from 0, and the end is the first point after the anomaly. Some files hold
    one number a line, others all in one line.
    """
    root = _existing(folder)
    paths = sorted(path for path in root.rglob("*.txt") if _UCR_NAME.fullmatch(path.stem))
    if not paths:
        raise InputError(f"no series in {root}: files must be named like {_UCR_EXAMPLE}")
    return [SeriesEntry(path.stem, "UCR", partial(_read_ucr, path)) for path in paths]


def _read_ucr(path: Path) -> BenchmarkSeries:
    match = _UCR_NAME.fullmatch(path.stem)
    assert match is not None
    train, begin, end = (int(match[name]) for name in ("train", "begin", "end"))
    try:
        values = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must hold numbers only: {error}") from error
    if not 0 <= begin < end <= len(values):
        raise InputError(f"{path} has {len(values)} points, but by its name an anomaly at {begin} to {end}")
    labels = np.zeros(len(values), dtype=np.int8)
    labels[begin:end] = 1
    return make_series(path.stem, "UCR", values[:, None], labels, train, path)


def find_csv(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find CSV files with a column of labels; a data set is called like its folder.

    Labels are 0 and 1, or false and true. An empty cell of a variable is a gap. Options are ``label``, the
    name of the column of labels, upper or lower case (default "label"); ``ignore``, names of columns that are
    no variables, such as time stamps; ``delimiter`` (default ","); ``pattern``, which files (default
    ``"**/*.csv"``).
    """
    root = _existing(folder)
    pattern = options.get("pattern", "**/*.csv")
    if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise InputError(f"the option pattern must name files within the folder, got {pattern!r}")
    paths = sorted(path for path in root.glob(pattern) if path.is_file())
    if not paths:
        raise InputError(f"no file {pattern} in {root}")
    return [
        SeriesEntry(path.stem, path.resolve().parent.name, partial(_read_csv, path, dict(options)))
        for path in paths
    ]


def _read_csv(path: Path, options: Mapping[str, Any]) -> BenchmarkSeries:
    rows = read_rows(path, options.get("delimiter", ","))
    header = [name.strip() for name in rows[0]]
    label, ignored = options.get("label", "label"), set(options.get("ignore", ()))
    at = [i for i, name in enumerate(header) if name.lower() == label.lower()]
    if len(at) != 1:
        raise InputError(
            f"{path} must have one column {label}, has {', '.join(header)}; set the option label"
        )
    if ignored - set(header):
        raise InputError(f"{path} has no column {', '.join(sorted(ignored - set(header)))} to ignore")
    kept = [i for i, name in enumerate(header) if i != at[0] and name not in ignored]
    if not kept:
        raise InputError(f"{path} has no column besides labels and ignored ones")
    if any(len(row) != len(header) for row in rows):
        raise InputError(f"{path} must have {len(header)} cells in each row")
    try:
        values = np.array([[float(row[i]) if row[i].strip() else math.nan for i in kept] for row in rows[1:]])
    except ValueError as error:
        raise InputError(f"{path}: {error}; name columns without numbers in the option ignore") from error
    labels = [_LABELS.get(row[at[0]].strip().lower()) for row in rows[1:]]
    if None in labels:
        wrong = rows[1 + labels.index(None)][at[0]]
        raise InputError(f"{path}: labels must be 0 and 1, got {wrong!r} in row {1 + labels.index(None)}")
    return make_series(path.stem, path.parent.name, values, np.array(labels, dtype=np.int8), 0, path)


_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def find_embedded(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find the series inside installed packages."""
    from vetime_plugins.leaderboard import embedded

    return [SeriesEntry(name, dataset, load) for (dataset, name), load in embedded.SERIES.items()]


def find_generated(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find the series that are generated.

    The option ``set`` says which: "kinds" (the default), "scenarios" or "patterns".
    """
    from vetime_plugins.leaderboard import generated, patterns

    sets = {"kinds": generated.SERIES, "scenarios": patterns.SCENARIOS, "patterns": patterns.PATTERNS}
    made = sets[options.get("set", "kinds")]
    return [SeriesEntry(name, dataset, load) for (dataset, name), load in made.items()]


def find_care(folder: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find the events of the wind farms of CARE to Compare."""
    from vetime_plugins.leaderboard import care

    return care.find(_existing(folder))


def find_textbook(source: Path | None, options: Mapping[str, Any]) -> list[SeriesEntry]:
    """Find series of one kind of anomaly each; a data set is a kind.

    The name of a series is ``KIND.BASE.nCOUNT.vNOISE``: what kind of anomaly, on which base, how many, and
    with how much noise, as in ``mean.sine.n5.v10``. `source` is an ``.npz`` file that holds two arrays of
    each, ``NAME.x`` with the values, (T,) or (T, C), and ``NAME.y`` with the labels, (T,); or a folder of
    files ``NAME.csv``, whose options are those of `find_csv`. Nothing in the file is unpickled.
    """
    if source is not None and source.is_file():
        return _find_arrays(source)
    root = _existing(source)
    options = {"pattern": "**/*.csv", **options}
    paths = [path for path in sorted(root.glob(options["pattern"])) if _TEXTBOOK_NAME.fullmatch(path.stem)]
    if not paths:
        raise InputError(
            f"no series in {root}: files must be named like {_TEXTBOOK_EXAMPLE}.csv; or name an .npz file"
        )
    return [
        SeriesEntry(path.stem, path.stem.partition(".")[0], partial(_read_textbook_csv, path, options))
        for path in paths
    ]


def _read_textbook_csv(path: Path, options: Mapping[str, Any]) -> BenchmarkSeries:
    kind = path.stem.partition(".")[0]
    return replace(_read_csv(path, options), dataset=kind, kind=kind)


def _find_arrays(path: Path) -> list[SeriesEntry]:
    with _arrays(path) as archive:
        parts = [name for name in archive.files if name.endswith((".x", ".y"))]
    names = sorted({name[:-2] for name in parts})
    wrong = [name for name in names if not _TEXTBOOK_NAME.fullmatch(name)]
    if wrong or not names:
        got = f"got {wrong[0]}" if wrong else "it holds none"
        raise InputError(
            f"{path} must hold arrays named like {_TEXTBOOK_EXAMPLE}.x and {_TEXTBOOK_EXAMPLE}.y; {got}"
        )
    lacking = sorted({f"{name}.{part}" for name in names for part in "xy"} - set(parts))
    if lacking:
        raise InputError(f"{path} lacks the array {lacking[0]}; every series needs values .x and labels .y")
    return [SeriesEntry(name, name.partition(".")[0], partial(_read_arrays, path, name)) for name in names]


def _read_arrays(path: Path, name: str) -> BenchmarkSeries:
    with _arrays(path) as archive:
        values, labels = archive[f"{name}.x"], archive[f"{name}.y"]
    if values.dtype.kind not in "iufb" or values.ndim not in (1, 2) or not values.size:
        raise InputError(
            f"{path}: {name}.x must hold numbers, (T,) or (T, C), got {values.dtype} {values.shape}"
        )
    if labels.shape != values.shape[:1]:
        raise InputError(f"{path}: {name}.y must have the shape {values.shape[:1]}, got {labels.shape}")
    try:
        explain_undefined(labels)
    except InputError as error:
        raise InputError(f"{path}: {name}.y: {error}") from error
    table = values.reshape(len(values), -1).astype(np.float64)
    kind = name.partition(".")[0]
    return replace(make_series(name, kind, table, labels.astype(np.int8), 0, path), kind=kind)


@contextmanager
def _arrays(path: Path) -> Iterator[Any]:
    """Open an ``.npz`` file whose arrays can be read without running anything that it holds."""
    try:
        # numpy leaves a file open that it cannot read
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path} must be an .npz file of several arrays, and holds a single one")
            with archive:
                yield archive
    except InputError:
        raise
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"cannot read {path} as an .npz file of plain arrays: {error}") from error


READERS: dict[str, Reader] = {
    "tsb-ad": Reader(find_tsb_ad),
    "nab": Reader(find_nab),
    "ucr": Reader(find_ucr),
    "csv": Reader(
        find_csv,
        options=CsvOptions,
        knows_train_part=False,
    ),
    "textbook": Reader(find_textbook, options=CsvOptions, knows_train_part=False),
    "embedded": Reader(find_embedded, needs_folder=False),
    "generated": Reader(find_generated, options=GeneratedOptions, needs_folder=False),
    "care": Reader(find_care),
}
"""The readers by name."""


def _existing(folder: Path | None) -> Path:
    if folder is None or not folder.is_dir():
        raise InputError(f"no folder {folder}; name the one that holds the data set with --data DIR")
    return folder
