"""Scoring many series on the processes of this machine, or on the workers of a cluster, through joblib.

Which workers those are is up to joblib. Without more, ``n_jobs`` of `VETimePipeline.score` starts processes
here; within a configuration of joblib it uses what that names, e.g. the workers of a Dask cluster::

    from dask.distributed import Client

    with Client("tcp://10.0.0.1:8786"), joblib.parallel_config(backend="dask"):
        scores = pipeline.score(many_series, n_jobs=-1)

A pipeline travels as the name of its weights. A worker loads them when it first needs them and keeps them;
weights in a folder must lie at the same path there, and be the same. A network that was changed after it was
loaded travels with its weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from vetime_plugins._progress import Progress, Reporter
from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = ["check_n_jobs", "cut_evenly", "run_parts"]

_PARTS_OF_A_JOB = 8
"""More of them end together; each costs the way there and back."""

T = TypeVar("T")


def check_n_jobs(n_jobs: Any) -> int:
    """Return a number of workers as joblib counts them: negative ones from all downwards, -1 is all.

    Parameters
    ----------
    n_jobs : int

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is 0 or no whole number.
    """
    if isinstance(n_jobs, (bool, np.bool_)) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise InputError(f"n_jobs must be a number of workers, or -1 for all, got {n_jobs!r}.")
    return int(n_jobs)


def cut_evenly(sizes: Sequence[int], n_jobs: int) -> list[slice]:
    """Cut a list of series of these sizes into parts of neighbours, about eight for each worker.

    Parameters
    ----------
    sizes : sequence of int
    n_jobs : int
        Of `check_n_jobs`.

    Returns
    -------
    list of slice
        In order, none of them empty.
    """
    workers = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    wanted = sum(sizes) / (workers * _PARTS_OF_A_JOB)
    cuts, held = [0], 0
    for number, size in enumerate(sizes, start=1):
        held += size
        if held >= wanted or number == len(sizes):
            cuts.append(number)
            held = 0
    return [slice(*pair) for pair in pairwise(cuts)]


def run_parts(
    function: Callable[..., T],
    parts: Sequence[tuple[Any, ...]],
    sizes: Sequence[int],
    *,
    n_jobs: int,
    progress: Progress = False,
) -> list[T]:
    """Call a function on joblib's workers, once for each part of the work.

    Parameters
    ----------
    function : callable
        Picklable.
    parts : sequence of tuple
        Positional arguments.
    sizes : sequence of int
        What each part counts for in `progress`.
    n_jobs : int
        Parts at a time; -1 uses all workers.
    progress : bool or callable
        As in `VETimePipeline.score`.

    Returns
    -------
    list
        In the order of the parts.

    Raises
    ------
    MissingDependencyError
        If joblib, or what `progress` needs, is not installed.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingDependencyError("n_jobs needs joblib; run: pip install joblib") from error
    calls = [joblib.delayed(function)(*part) for part in parts]
    if progress is False:  # not every backend can give back what is done before all is
        return list(joblib.Parallel(n_jobs=n_jobs)(calls))
    results = []
    with Reporter(progress, sum(sizes)) as report:
        finished = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(calls)
        for size, result in zip(sizes, finished, strict=True):
            results.append(result)
            report(size)
    return results
