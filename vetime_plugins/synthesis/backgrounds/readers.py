"""Readers of the files that packages ship: each yields named series as they stand in the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.errors import MissingDependencyError
from vetime_plugins.synthesis.backgrounds.catalogue import Source

Named = Iterator[tuple[str, NDArray[np.float64]]]


def _needs(module: str) -> Any:
    """Import an optional module that a reader needs."""
    try:
        return __import__(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'reading real backgrounds needs {module}; run: pip install "vetime-plugins[corpus]"'
        ) from error


def table(path: Path, source: Source) -> Named:
    """Read the columns of a csv or parquet file; with `Source.by`, each identifier is a series."""
    pandas = _needs("pandas")
    if path.suffix == ".parquet":
        _needs("pyarrow")
        frame = pandas.read_parquet(path)
    else:
        frame = pandas.read_csv(path, low_memory=False, **source.options)
    frame.columns = [str(column) for column in frame.columns]
    stem = path.name.split(".")[0]
    for column in frame.columns:
        if not any(_fits(column, wanted) for wanted in source.columns):
            continue
        numbers = pandas.to_numeric(frame[column], errors="coerce")
        if source.by:
            for name, rows in frame.groupby(source.by, sort=True).groups.items():
                yield f"{stem}.{name}", numbers.loc[rows].to_numpy(np.float64)
        else:
            yield f"{stem}.{column}" if len(source.columns) > 1 else stem, numbers.to_numpy(np.float64)


def _fits(column: str, wanted: str) -> bool:
    return column.startswith(wanted[:-1]) if wanted.endswith("*") else column == wanted


def recorder(path: Path, source: Source) -> Named:
    """Read every analogue channel of an OpenSignals HDF5 file."""
    h5py = _needs("h5py")
    with h5py.File(path) as file:
        for number, device in enumerate(file):
            raw = file[device]["raw"]
            for channel in sorted(name for name in raw if name.startswith("channel_")):
                yield f"{path.stem}.{number}.{channel[8:]}", np.asarray(raw[channel], np.float64).ravel()


def inertial(path: Path, source: Source) -> Named:
    """Read a pickled dictionary of recordings (T, 6): acceleration and turn of a wrist."""
    # A pickle runs code when it is read; this one comes with an installed package, whose code runs anyway.
    content = np.load(io.BytesIO(path.read_bytes()), allow_pickle=True).item()
    for number, recording in enumerate(content["X"]):
        for axis, name in enumerate(content["X_labels"]):
            yield f"watch.{number:03d}.{name}", np.asarray(recording[:, axis], np.float64)


def instances(path: Path, source: Source) -> Named:
    """Read a .ts file: one series a line, up to the last colon."""
    with path.open(encoding="utf-8") as lines:
        data = (line for line in lines if line.strip() and line[0] not in "#@")
        for number, line in enumerate(data):
            values = line.rsplit(":", 1)[0].split(",")
            yield f"{path.stem}.{number:03d}", np.array(values, np.float64)


READERS: dict[str, Callable[[Path, Source], Named]] = {
    "table": table,
    "recorder": recorder,
    "inertial": inertial,
    "instances": instances,
}
