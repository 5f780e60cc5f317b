"""Labelled series that need no download: real series inside installed packages.

Three kinds, each a data set of its own, by how the labels come about:

``labelled``
    Series that sktime ships with labels: an electrocardiogram, and a daily curve on a trend with outliers,
    called yahoo there, which looks generated.
``recombined``
    Recordings of one class in a row, with some of another class among them; the label says which recordings
    those are. Movements of a smart watch in 6 variables, walking with badminton in between; the electricity
    demand of Italy by the hour, winter with summer days in between (both sktime). Recordings and classes are
    those of the data sets, no value is changed.
``injected``
    Series without labels, into which `vetime_plugins.synthesis.inject` has put anomalies with a fixed seed:
    carbon dioxide over Mauna Loa, by week, and the surface temperature of the Pacific, by month
    (statsmodels). What a detector finds here are synthetic anomalies.

Results on series as few and as small as these show that everything works; they do not rank detectors.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries

__all__ = ["SERIES"]


def _labelled(name: str, train_length: int) -> BenchmarkSeries:
    """Read a file of sktime with the columns data and label."""
    path = _file("sktime", f"datasets/data/{name}/{name}.csv")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return BenchmarkSeries(
        name, "labelled", np.ascontiguousarray(table[:, :1]), table[:, 1].astype(np.int8), train_length
    )


def _recombined(
    name: str, loader: str, normal: str, other: str, length: int, train: int, places: tuple[int, ...]
) -> BenchmarkSeries:
    """Put `length` recordings of one class in a row, those of another at some `places` among them.

    `loader` is a function of `sktime.datasets`; the first `train` recordings are the train part.
    """
    X, y = getattr(_module("sktime.datasets", "sktime"), loader)(return_X_y=True, return_type="numpy3D")
    supplies = {kind: iter(X[np.asarray(y) == kind]) for kind in (normal, other)}
    parts = [next(supplies[other if place in places else normal]) for place in range(length)]
    points = parts[0].shape[1]
    labels = np.zeros(length * points, dtype=np.int8)
    for place in places:
        labels[place * points : (place + 1) * points] = 1
    values = np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=np.float64)
    return BenchmarkSeries(name, "recombined", values, labels, train * points)


def _injected(name: str, seed: int) -> BenchmarkSeries:
    """Put anomalies into the part after the train part, 40 %, of a series of statsmodels."""
    from vetime_plugins.synthesis import inject

    frame = _module(f"statsmodels.datasets.{name}", "statsmodels").load_pandas().data
    table = frame.drop(columns="YEAR", errors="ignore").to_numpy(dtype=np.float64)
    series = table.reshape(-1)  # the temperatures are a table of years and months
    train_length = int(0.4 * len(series))
    spoilt = inject(series[train_length:], n=3, severity=(0.5, 1.0), seed=seed)
    values = np.concatenate((series[:train_length], spoilt.values.reshape(-1)))[:, None]
    labels = np.concatenate((np.zeros(train_length), spoilt.labels.reshape(-1))).astype(np.int8)
    return BenchmarkSeries(name, "injected", values, labels, train_length)


_WALKING = ("load_basic_motions", "walking", "badminton", 20, 8, (11, 17))
_WINTER = ("load_italy_power_demand", "1", "2", 120, 48, (70, 71, 72, 100))

SERIES: dict[tuple[str, str], Callable[[], BenchmarkSeries]] = {
    ("labelled", "mitdb"): partial(_labelled, "mitdb", 2000),
    ("labelled", "yahoo"): partial(_labelled, "yahoo", 400),
    ("recombined", "badminton-among-walking"): partial(_recombined, "badminton-among-walking", *_WALKING),
    ("recombined", "summer-among-winter-days"): partial(_recombined, "summer-among-winter-days", *_WINTER),
    ("injected", "co2"): partial(_injected, "co2", 1),
    ("injected", "elnino"): partial(_injected, "elnino", 2),
}
"""Data set and name of each series, with the function that makes it."""


def _module(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _missing(package) from error


def _file(package: str, name: str) -> Path:
    """Return a file inside an installed package, without importing that."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise _missing(package)
    path = Path(found.submodule_search_locations[0]) / name
    if not path.is_file():
        raise InputError(
            f"the installed {package} has no file {name}; the versions in constraints.txt have it"
        )
    return path


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"the embedded series are those of sktime and statsmodels, and {package} is not installed; run: "
        'pip install "vetime-plugins[sktime,report]"'
    )
