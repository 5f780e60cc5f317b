"""Reading the layout of CARE to Compare: sensors of wind turbines before faults, and in quiet times.

A wind farm is a folder with ``event_info.csv`` and ``datasets/``, which holds a file ``EVENT_ID.csv`` for
each row of the former; cells are separated by semicolons. ``event_info.csv`` has the columns ``event_id``,
``event_label`` ("anomaly" or "normal"), ``event_start_id`` and ``event_end_id``, which are values of the
column ``id`` of the event's file. That has ``time_stamp``, ``asset_id``, ``id``, ``train_test`` ("train" or
"prediction"), ``status_type_id``, and then a column for each reading.

The data are those of Gück, Roelofs and Faulstich, "CARE to Compare: A Real-World Benchmark Dataset for Early
Fault Detection in Wind Turbine Data" (Data, 2024).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries
from vetime_plugins.leaderboard.entries import SeriesEntry, make_series, read_rows

__all__ = ["find"]

_INFO = "event_info.csv"
_ABOUT = ("time_stamp", "asset_id", "id", "train_test", "status_type_id")
_EVENT = ("event_id", "event_label", "event_start_id", "event_end_id")


def find(root: Path) -> list[SeriesEntry]:
    """List the events of all wind farms at any depth of a folder; a data set is a farm, called by its folder.

    Points of an anomalous event, its ends included, are anomalous. A quiet event has none, so most metrics
    are undefined on it. Rows are kept whatever status the turbine reported.

    Raises
    ------
    InputError
        If there is no farm, or a table is not as described.
    """
    tables = sorted(root.rglob(_INFO))
    if not tables:
        raise InputError(
            f"no {_INFO} in {root}; name the folder that holds the wind farms of CARE to Compare"
        )
    entries = []
    for table in tables:
        header, *rows = read_rows(table, ";")
        at = _places(table, header, _EVENT)
        for row in rows:
            if len(row) != len(header):
                raise InputError(f"{table} must have {len(header)} cells in each row, got {len(row)}")
            name, label, *ends = (row[at[column]].strip() for column in _EVENT)
            if label not in ("anomaly", "normal"):
                raise InputError(f'{table}: event_label must be "anomaly" or "normal", got {label!r}')
            path = table.parent / "datasets" / f"{name}.csv"
            if not path.is_file() or path.parent.resolve() != path.resolve().parent:
                raise InputError(f"{table} names the event {name}, and there is no file {path}")
            event = (_number(table, ends[0]), _number(table, ends[1])) if label == "anomaly" else None
            entries.append(
                SeriesEntry(name, table.parent.name, partial(_read, path, table.parent.name, event))
            )
    return entries


def _read(path: Path, dataset: str, event: tuple[float, float] | None) -> BenchmarkSeries:
    header, *rows = read_rows(path, ";")
    at = _places(path, header, _ABOUT)
    readings = [place for place, name in enumerate(header) if name.strip() not in _ABOUT]
    if not readings or any(len(row) != len(header) for row in rows):
        raise InputError(f"{path} must have readings beside {', '.join(_ABOUT)}, and all cells in each row")
    try:
        values = np.array([[float(row[i]) if row[i].strip() else np.nan for i in readings] for row in rows])
    except ValueError as error:
        raise InputError(f"{path} must hold numbers as readings: {error}") from error
    parts = [row[at["train_test"]].strip() for row in rows]
    train = parts.count("train")
    if set(parts) - {"train", "prediction"} or "train" in parts[train:]:
        raise InputError(f'{path}: train_test must be "train" and then "prediction" in each row')
    places = np.array([_number(path, row[at["id"]]) for row in rows])
    labels = np.zeros(len(rows), dtype=np.int8)
    if event is not None:
        labels[(places >= event[0]) & (places <= event[1])] = 1
        if not labels.any():
            raise InputError(f"{path} has no row of its event, with an id of {event[0]:g} to {event[1]:g}")
    return make_series(path.stem, dataset, values, labels, train, path)


def _places(path: Path, header: list[str], needed: tuple[str, ...]) -> dict[str, int]:
    """Return where the columns are that a table must have."""
    places = {name.strip(): place for place, name in enumerate(header)}
    lacking = [name for name in needed if name not in places]
    if lacking:
        raise InputError(f"{path} must have the columns {', '.join(needed)}, lacks {', '.join(lacking)}")
    return places


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{path}: an id must be a number, got {text!r}") from error
