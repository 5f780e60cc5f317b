"""Tasks: which series are taken from where, how they are split and measured, and with which detectors.

A task is a file in TOML (or YAML, where PyYAML is installed):

.. code-block:: toml

    name = "pumps"
    description = "Vibration of our pumps"
    metrics = ["VUS-PR", "AUC-PR"]            # all where left out
    detectors = ["vetime-pyod", "pyod-knn(n_neighbors=10)"]
    device = "cpu"                            # "auto", "cuda", ...
    time_limit = 600                          # seconds a cell
    memory_limit = "4G"

    [source]
    reader = "csv"                            # tsb-ad, nab, ucr, csv, textbook, care, embedded, generated
    folder = "data/pumps"                     # seen from this file
    datasets = ["A", "B"]                     # only these
    series = ["2024-*"]                       # only these, shell patterns
    options = { label = "is_anomaly", ignore = ["timestamp"] }

    [split]
    rule = "fraction"                         # source, fraction, points, none
    train = 0.3

    [buffer]
    rule = "period"                           # period, fixed
    points = 100                              # of "fixed"

An unknown key is an error, and so is a value of the wrong type: a typing error must not change what is
measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, field, replace
from dataclasses import dataclass as plain_dataclass
from fnmatch import fnmatchcase
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from vetime_plugins._validation import Number, Text, Whole, read_table, validate
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries
from vetime_plugins.leaderboard.entries import SeriesEntry
from vetime_plugins.leaderboard.readers import READERS
from vetime_plugins.metrics import METRIC_NAMES, check_metric_names, find_buffer

__all__ = ["Buffer", "Source", "Split", "Task", "TaskSeries", "bundled_tasks", "parse_bytes"]

_STRICT = ConfigDict(extra="forbid")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_bytes(text: str | int) -> int:
    """Return a number of bytes; it may end in K, M, G or T (powers of 1024), with B or iB or without.

    Raises
    ------
    InputError
        If it is something else, or not above 0.

    Examples
    --------
    >>> parse_bytes("4G"), parse_bytes("1.5 MiB"), parse_bytes(1000)
    (4294967296, 1572864, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)(?:i?B)?\s*", str(text), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise InputError(f"memory must be given like 4G or 512M, got {text!r}")
    return size


def _memory(value: Any) -> Any:
    try:
        return None if value is None else parse_bytes(value)
    except InputError as error:
        raise InputError(f"memory_limit: {error}") from error


_Names = Annotated[tuple[Text, ...], Field(min_length=1)]


@dataclass(frozen=True, config=_STRICT)
class Source:
    """Where the series come from; the module says what the keys mean."""

    reader: Text
    folder: Text | None = None
    datasets: _Names | None = None
    series: _Names | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.reader not in READERS:
            raise InputError(f"source.reader must be one of {', '.join(READERS)}; got {self.reader!r}")
        reader = READERS[self.reader]
        validate(reader.options, self.options, "", within="source.options.")
        if self.folder is not None and not reader.needs_folder:
            raise InputError(f"the reader {self.reader} takes no folder")
        return self


@dataclass(frozen=True, config=_STRICT)
class Split:
    """Which points at the beginning are for training and not judged.

    By `rule` as the data set says, a share of the points, a number of points, or none; `train` is the share
    or the number.
    """

    rule: Literal["source", "fraction", "points", "none"] = "source"
    train: Number | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        train = self.train
        fits = {
            "fraction": train is not None and 0 < train < 1,
            "points": train is not None and train > 0 and train.is_integer(),
        }.get(self.rule, train is None)
        if not fits:
            shown = None if train is None else f"{train:g}"
            raise InputError(
                'split.train must be a share in (0, 1) for "fraction", a number of points for "points", and '
                f'is not used otherwise; got {shown} for "{self.rule}"'
            )
        return self

    def length(self, series: BenchmarkSeries) -> int:
        """Return the number of train points of a series."""
        if self.rule == "source":
            return series.train_length
        if self.rule == "none" or self.train is None:
            return 0
        return int(self.train * len(series.values)) if self.rule == "fraction" else int(self.train)


@dataclass(frozen=True, config=_STRICT)
class Buffer:
    """Tolerance of VUS and PATE: the period as TSB-AD takes it (`find_buffer`), or a fixed one."""

    rule: Literal["period", "fixed"] = "period"
    points: Whole | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.rule == "fixed") != (self.points is not None) or (self.points or 0) < 0:
            raise InputError(
                'buffer.points must be a number of points for "fixed", and is not used otherwise; '
                f'got {self.points!r} for "{self.rule}"'
            )
        return self


@plain_dataclass(frozen=True, eq=False)
class TaskSeries:
    """A series as a task has it: read, split, and with a name that no other series of the task has."""

    name: str
    dataset: str
    values: Any
    labels: Any
    train_length: int
    period: int
    buffer: int
    kind: str = ""


@dataclass(frozen=True, config=_STRICT)
class Task:
    """What is measured; see the module for the file that describes it.

    Attributes
    ----------
    name : str
    source : Source
    description : str
    split : Split
    buffer : Buffer
    metrics : tuple of str
    detectors : tuple of str or None
        What is run where nothing else is asked for.
    device : str
    time_limit : float or None
        Seconds for fitting and scoring one series.
    memory_limit : int or None
        Bytes.
    """

    name: Text
    source: Source
    description: Text = ""
    split: Split = field(default_factory=Split)
    buffer: Buffer = field(default_factory=Buffer)
    metrics: Annotated[_Names, AfterValidator(check_metric_names)] = METRIC_NAMES
    detectors: _Names | None = None
    device: Text = "cpu"
    time_limit: Number | None = None
    memory_limit: Annotated[int | None, BeforeValidator(_memory)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise InputError(f"name must be of letters, digits, _, - and ., got {self.name!r}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError(f"time_limit must be above 0, got {self.time_limit:g}")
        if self.split.rule == "source" and not READERS[self.source.reader].knows_train_part:
            raise InputError(
                f"the reader {self.source.reader} does not know which points are for training; "
                'set [split] rule to "fraction", "points" or "none"'
            )
        return self

    @classmethod
    def read(cls, name_or_file: str | PathLike[str]) -> Task:
        """Read a task.

        Parameters
        ----------
        name_or_file : str or path
            A name of `bundled_tasks`, or a file that ends in ``.toml``, ``.yaml`` or ``.yml``.

        Returns
        -------
        Task

        Raises
        ------
        InputError
            If there is none, or the file cannot be read, or says something that is not allowed.
        """
        path = Path(name_or_file)
        if not path.suffix:
            bundled = bundled_tasks()
            if str(name_or_file) not in bundled:
                raise InputError(
                    f"no task {str(name_or_file)!r}; there are {', '.join(bundled)}, or name a .toml file"
                )
            return validate(cls, read_table(bundled[str(name_or_file)]), str(name_or_file))
        task = validate(cls, read_table(path), str(path))
        if task.source.folder is not None:
            folder = str(path.parent / Path(task.source.folder).expanduser())
            task = replace(task, source=replace(task.source, folder=folder))
        return task

    @property
    def needs_folder(self) -> bool:
        """Whether the series are in a folder that a user names."""
        return READERS[self.source.reader].needs_folder

    def find(self) -> list[SeriesEntry]:
        """List the series without reading them, sorted by data set and name; names are unique.

        Returns
        -------
        list of SeriesEntry

        Raises
        ------
        InputError
            If the data set is not where it should be, or nothing of it is asked for.
        """
        source = self.source
        reader = READERS[source.reader]
        if reader.needs_folder and source.folder is None:
            raise InputError(f"the task {self.name} needs a data set; name its folder with --data DIR")
        entries = reader.find(None if source.folder is None else Path(source.folder), source.options)
        known = sorted({entry.dataset for entry in entries})
        unknown = sorted(set(source.datasets or ()) - set(known))
        if unknown:
            raise InputError(
                f"no data set {', '.join(unknown)} in {source.folder}; there are {', '.join(known)}"
            )
        times = Counter(entry.name for entry in entries)
        chosen = [
            replace(entry, name=f"{entry.dataset}-{entry.name}") if times[entry.name] > 1 else entry
            for entry in entries
            if (source.datasets is None or entry.dataset in source.datasets)
            and (source.series is None or any(fnmatchcase(entry.name, one) for one in source.series))
        ]
        if not chosen:
            raise InputError(f"the task {self.name} has no series left: none fits {source.series}")
        twice = [name for name, count in Counter(entry.name for entry in chosen).items() if count > 1]
        if twice:
            raise InputError(f"{len(twice)} series of {self.name} are there twice, e.g. {twice[0]}")
        return sorted(chosen, key=lambda entry: (entry.dataset, entry.name))

    def load(self, entry: SeriesEntry) -> TaskSeries:
        """Read a series of `find` and split it.

        Parameters
        ----------
        entry : SeriesEntry

        Returns
        -------
        TaskSeries

        Raises
        ------
        InputError
            If it cannot be read, or is no longer than its train part.
        """
        series = entry.load()
        length = self.split.length(series)
        if not 0 <= length < len(series.values):
            raise InputError(
                f"{entry.name} has {len(series.values)} points; the train part cannot be {length} of them"
            )
        period = find_buffer(series.values)
        buffer = period if self.buffer.rule == "period" or self.buffer.points is None else self.buffer.points
        return TaskSeries(
            entry.name, entry.dataset, series.values, series.labels, length, period, buffer, series.kind
        )

    def narrowed(
        self,
        *,
        folder: str | PathLike[str] | None = None,
        datasets: Iterable[str] | None = None,
        series: Iterable[str] | None = None,
    ) -> Task:
        """Return the task on another folder, or on fewer data sets or series.

        Parameters
        ----------
        folder : str or path, optional
        datasets : iterable of str, optional
            Names of data sets to keep.
        series : iterable of str, optional
            Names of series to keep; ``*`` and ``?`` stand for others.

        Returns
        -------
        Task

        Raises
        ------
        InputError
            If a folder is given for a task that brings its series along.
        """
        source = self.source
        if folder is not None:
            if not READERS[source.reader].needs_folder:
                raise InputError(f"the task {self.name} brings its series along and takes no folder")
            source = replace(source, folder=str(folder))
        if datasets is not None:
            source = replace(source, datasets=tuple(datasets))
        if series is not None:
            source = replace(source, series=tuple(series))
        return replace(self, source=source)

    def rules(self) -> dict[str, Any]:
        """Return what two runs must share for their results to be comparable, as JSON can hold it."""
        return {
            "name": self.name,
            "reader": self.source.reader,
            "options": self.source.options,
            "split": asdict(self.split),
            "buffer": asdict(self.buffer),
        }


def bundled_tasks() -> dict[str, Path]:
    """Return the tasks that come with the package: names and files.

    Examples
    --------
    >>> list(bundled_tasks())[:4]
    ['care', 'embedded', 'generated', 'gpu']
    """
    folder = Path(str(resources.files(__package__) / "task_files"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
