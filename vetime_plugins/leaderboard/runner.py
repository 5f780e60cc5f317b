"""Run detectors over the series of a task, here or on other machines, and keep the results in a folder.

A cell is one detector on one series. Workers give their results to this process, which alone writes them, so
workers need no file system in common. Everything that was finished is kept whatever happens to a worker, to
this process or to the machine, and is not run again; see `vetime_plugins.leaderboard.results`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from vetime_plugins._files import only_user_of
from vetime_plugins.detectors.specs import Chosen, choose, default_detectors
from vetime_plugins.errors import InputError, VETimeError
from vetime_plugins.leaderboard import results
from vetime_plugins.leaderboard.backends import run_all
from vetime_plugins.leaderboard.provenance import cell_seed, data_hash, fingerprint
from vetime_plugins.leaderboard.results import Cell, StoredSeries
from vetime_plugins.leaderboard.summary import summarise_cells
from vetime_plugins.leaderboard.tasks import Task, TaskSeries
from vetime_plugins.leaderboard.worker import (
    CellJob,
    Limits,
    check_device,
    take_metrics,
)
from vetime_plugins.metrics import check_metric_names
from vetime_plugins.metrics._levels import find_segments

__all__ = ["Report", "retake_metrics", "run_task", "summarise_cells"]

_RUN = "run.json"
_CHANGE_NO_SCORE = ("framework", "buffer", "kind", "n_anomalies", "trained_on", "tuned_on")  # of a cell

Progress = Callable[[int, int, Cell], None]


@dataclass(frozen=True)
class Report:
    """What a run did: all its cells, and how many of them were run now and how many were there already."""

    cells: list[Cell]
    n_run: int
    n_kept: int


def run_task(
    task: Task,
    out: str | PathLike[str],
    *,
    detectors: Sequence[str | Any] | None = None,
    n_jobs: int = 1,
    backend: str = "local",
    address: str | None = None,
    seed: int = 0,
    threads: int = 1,
    retry: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run detectors over the series of a task.

    Parameters
    ----------
    task : Task
    out : str or path
        Folder of results. What it holds of this task is kept, unless it is out of date: another version of a
        package, other parameters, another seed, other data.
    detectors : sequence, optional
        Names with parameters, as `vetime_plugins.detectors.specs.choose` reads them, or objects that are
        detectors. Left out, those of the task, or else `default_detectors`.
    n_jobs : int, default 1
        Cells at a time. Of a cluster all workers are used.
    backend : {"local", "loky", "dask", "ray"}
        See `vetime_plugins.leaderboard.backends`.
    address : str, optional
        Of a cluster's scheduler.
    seed : int, default 0
        A cell's seed follows from it and from the names of detector and series.
    threads : int, default 1
        Threads of numerical libraries for each cell.
    retry : bool, default False
        Run cells again that failed.
    limit : int, optional
        Only that many series, the first of the task.
    progress : callable, optional
        Called with the number of finished cells, of all, and the cell.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If an argument, the task's data or the folder is unusable, or the device does not exist here.
    VETimeError
        If cells are missing in the end, because workers are lost over and over again.
    """
    if n_jobs < 1 or threads < 1 or (limit is not None and limit < 1):
        raise InputError(f"jobs, threads and limit must be >= 1, got {n_jobs}, {threads} and {limit}")
    chosen = choose(detectors if detectors is not None else task.detectors or default_detectors())
    if backend in {"local", "loky"}:
        check_device(task.device)  # elsewhere, a worker will say
    entries = task.find()[:limit]
    root = Path(out)
    limits = Limits(task.time_limit, task.memory_limit, threads)
    total = len(entries) * len(chosen)
    found: dict[tuple[str, str], Cell] = {}
    with _only_run_in(root, task, seed):
        store = _Store(root, task)
        kept = 0

        def add(cell: Cell) -> None:
            found[cell.detector, cell.series] = cell
            if progress is not None:
                progress(len(found), total, cell)

        def jobs() -> Iterator[tuple[Cell, CellJob, Limits]]:
            nonlocal kept
            for one in chosen:
                for entry in entries:
                    series, digest = store.series(entry)
                    wanted, job = _job(task, one, series, digest, seed)
                    cell = _existing(root, wanted, job, retry)
                    if cell is None:
                        yield wanted, job, limits
                    else:
                        kept += 1
                        add(cell)

        for wanted, outcome in run_all(jobs(), n_jobs=n_jobs, backend=backend, address=address):
            cell = wanted.replace(**outcome.fields, date=datetime.now(UTC).date().isoformat())
            results.write_cell(root, cell, outcome.scores)
            add(cell)
    if len(found) < total:
        raise VETimeError(
            f"{total - len(found)} of {total} cells never came back from the backend {backend}; finished "
            "cells are kept, so run the same command again"
        )
    cells = sorted(found.values(), key=lambda cell: (cell.detector, cell.dataset, cell.series))
    return Report(cells, len(cells) - kept, kept)


def retake_metrics(
    folder: str | PathLike[str],
    *,
    metrics: str | Iterable[str] | None = None,
    progress: Progress | None = None,
) -> list[Cell]:
    """Take the metrics of a folder of results again, from the stored scores: no detector runs.

    All metrics are taken where `metrics` is left out; `progress` is as in `run_task`.

    Raises
    ------
    InputError
        If the folder is none of results, or a metric is unknown.
    """
    wanted = check_metric_names(metrics)
    if Path(folder).is_file():
        raise InputError(f"{folder} holds no scores to take metrics of; name a folder of results")
    cells = results.read_cells(folder)
    renewed = []
    for cell in cells:
        renewed.append(_with_metrics(folder, cell, wanted))
        results.write_cell(folder, renewed[-1])
        if progress is not None:
            progress(len(renewed), len(cells), renewed[-1])
    return renewed


def _job(task: Task, chosen: Chosen, series: TaskSeries, digest: str, seed: int) -> tuple[Cell, CellJob]:
    """Return a cell but for what only the worker knows, and what that is told."""
    job = CellJob(
        detector=chosen.detector,
        values=series.values,
        labels=series.labels,
        train_length=series.train_length,
        period=series.period,
        buffer=series.buffer,
        seed=cell_seed(seed, chosen.name, series.name),
        device=task.device,
        metrics=task.metrics,
    )
    cell = Cell(
        task=task.name,
        detector=chosen.name,
        parameters=chosen.parameters,
        series=series.name,
        dataset=series.dataset,
        status=results.ERROR,
        error=None,
        metrics=dict.fromkeys(task.metrics, math.nan),
        saw_train=bool(chosen.detector.sees_train),
        n_points=len(series.values),
        n_variables=series.values.shape[1],
        train_length=series.train_length,
        buffer=series.buffer,
        kind=series.kind,
        n_anomalies=len(find_segments(series.labels[series.train_length :] == 1)[0]),
        framework=str(chosen.detector.framework),
        trained_on=_told(chosen.detector, "trained_on"),
        tuned_on=_told(chosen.detector, "tuned_on"),
        seed=job.seed,
        fingerprint=fingerprint(
            chosen.detector,
            digest,
            train_length=job.train_length,
            period=job.period,
            seed=job.seed,
            device=job.device,
        ),
    )
    return cell, job


def _told(detector: Any, name: str) -> tuple[str, ...] | None:
    """Return the data sets that a detector names; InputError where it names them in another way."""
    found = getattr(detector, name, None)
    if found is None:
        return None
    if isinstance(found, str) or not all(isinstance(one, str) for one in found):
        raise InputError(f"{detector.name}.{name} must be names of data sets or tasks, got {found!r}")
    return tuple(sorted(found))


def _existing(root: Path, wanted: Cell, job: CellJob, retry: bool) -> Cell | None:
    """Return a cell that need not be run again, with the metrics that are asked for."""
    path = results.cell_path(root, wanted.detector, wanted.series)
    if not path.is_file():
        return None
    try:
        cell = results.read_cell(path)
        if cell.fingerprint != wanted.fingerprint or (retry and cell.failed):
            return None
        known = cell.replace(**{name: getattr(wanted, name) for name in _CHANGE_NO_SCORE})
        lacking = set(job.metrics) - set(cell.metrics)
        if cell.buffer != job.buffer or lacking:
            known = _with_metrics(root, known, job.metrics)
        if lacking or any(getattr(cell, one) != getattr(known, one) for one in _CHANGE_NO_SCORE):
            results.write_cell(root, known)
    except InputError:  # of another schema, or damaged from outside
        return None
    return known


def _with_metrics(folder: str | PathLike[str], cell: Cell, metrics: tuple[str, ...]) -> Cell:
    if cell.failed:
        return cell.replace(metrics=dict.fromkeys(metrics, math.nan), undefined={})
    series = results.load_series(folder, cell.series)
    scores = results.load_scores(folder, cell)
    return cell.replace(**take_metrics(series.test_labels, scores, cell.buffer, metrics))


class _Store:
    """Series of the task: read from the data set once, and from the folder of results from then on."""

    def __init__(self, root: Path, task: Task) -> None:
        self._root, self._task = root, task
        self._digests: dict[str, str] = {}
        self._told: dict[str, dict[str, Any]] = {}  # what is not stored with a series
        self._last: TaskSeries | None = None

    def series(self, entry: Any) -> tuple[TaskSeries, str]:
        """Return a series and the hash of its data."""
        if self._last is not None and self._last.name == entry.name:
            return self._last, self._digests[entry.name]
        if entry.name in self._digests:
            kept = results.load_series(self._root, entry.name)
            series = TaskSeries(entry.name, entry.dataset, **self._told[entry.name], **vars(kept))
        else:
            series = self._task.load(entry)
            self._digests[entry.name] = data_hash(series.values, series.labels)
            self._told[entry.name] = {"period": series.period, "kind": series.kind}
            self._keep(series)
        self._last = series
        return series, self._digests[entry.name]

    def _keep(self, series: TaskSeries) -> None:
        new = StoredSeries(series.values, series.labels, series.train_length, series.buffer)
        with suppress(InputError):
            old = results.load_series(self._root, series.name)
            if (old.train_length, old.buffer) == (new.train_length, new.buffer) and data_hash(
                old.values, old.labels
            ) == self._digests[series.name]:
                return
        results.write_series(self._root, series.name, new)


@contextmanager
def _only_run_in(root: Path, task: Task, seed: int) -> Iterator[None]:
    """Claim a folder for a run; InputError if another is at it, or it holds results under other rules."""
    with only_user_of(root):
        rules = json.loads(json.dumps(task.rules()))
        path = root / _RUN
        if path.is_file():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))["rules"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path} is damaged: {error}; name another folder") from error
            if before != rules:
                other = [f"{key} {before.get(key)}" for key in rules if before.get(key) != rules[key]]
                raise InputError(
                    f"{root} holds results of another task ({', '.join(other)}); name another folder"
                )
        else:
            text = json.dumps({"rules": rules, "description": task.description}, indent=1)
            results.write_text(path, text + "\n")
        yield
