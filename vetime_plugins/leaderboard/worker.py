"""One detector on one series: run under limits, timed, and measured.

The detector runs in a process of its own (`vetime_plugins.detectors.isolation`), which stays for the next
cell of the same worker. Before its times are taken it is run once on a short series, so that importing a
framework and loading a network, which happen once a process, count for none of them.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vetime_plugins.detectors._surroundings import kept_surroundings, seed_everything
from vetime_plugins.detectors.isolation import (
    Child,
    ChildDiedError,
    ChildError,
    MemoryLimitError,
    TimeLimitError,
)
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import results
from vetime_plugins.leaderboard.provenance import as_plain, hardware, versions
from vetime_plugins.metrics import evaluate

__all__ = ["CellJob", "Limits", "Outcome", "check_device", "measure", "run_cell", "take_metrics"]

_WARM_UP = 256  # points of the short series; half of them are its train part


@dataclass(frozen=True, eq=False)
class CellJob:
    """All that a worker needs to know, so that it can be anywhere: detector, series, and what is wanted.

    `values` are (T, C), `labels` (T,); `period` and `buffer`, in points, are what the detector is told of the
    period and the tolerance of the metrics. Detectors that cannot use a GPU stay on the CPU.
    """

    detector: Any
    values: np.ndarray
    labels: np.ndarray
    train_length: int
    period: int
    buffer: int
    seed: int
    device: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What stops a detector, and the threads of numerical libraries that it has.

    `seconds` are for fitting and scoring together; `memory` is that of its process and of those that it
    starts, resident, in bytes.
    """

    seconds: float | None = None
    memory: int | None = None
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came out: the fields of a `Cell` that only the worker knows, and the scores of the test part."""

    fields: dict[str, Any]
    scores: np.ndarray | None


def run_cell(job: CellJob, limits: Limits) -> Outcome:
    """Run a detector on a series in this worker's own child process; a failure is an outcome too.

    A child that somebody killed from outside is replaced and the cell run again, once: that says nothing
    about the detector. The same goes for one that died, or had too much memory, after it had served other
    cells: what they left behind may have done it.
    """
    for attempt in range(2):
        child = _child(limits, job.detector.framework)
        used = child.n_calls > 0
        fields: dict[str, Any] = {}
        try:
            return _attempt(child, job, limits, fields)
        except ChildDiedError as error:
            failed = _failed(job, {}, results.ERROR, str(error))
            again = used or error.by_signal in _FROM_OUTSIDE
        except MemoryLimitError as error:
            failed = _failed(job, fields, results.OOM, str(error))
            again = used
            child.kill()
        if attempt or not again:
            break
    return failed


_FROM_OUTSIDE = {9, 15}  # SIGKILL, SIGTERM; other signals are faults of native code
_GETTING_READY = 120.0  # seconds for imports and the first run, which are not the detector's time
_STAGES = ("getting ready", "fitting", "scoring")


def _attempt(child: Child, job: CellJob, limits: Limits, fields: dict[str, Any]) -> Outcome:
    left = None if limits.seconds is None else limits.seconds + _GETTING_READY
    doing = _STAGES[0]
    try:
        child.start(measure, job)
        for doing in _STAGES:
            begin = time.monotonic()
            fields.update(child.receive(time_limit=left, memory_limit=limits.memory))
            if doing == _STAGES[0]:
                left = limits.seconds
            elif left is not None:
                left = max(0.0, left - (time.monotonic() - begin))
        scores = fields.pop("scores")
        fields.update(child.receive())
    except TimeLimitError:
        more = f" and {_GETTING_READY:g} s for that" if doing == _STAGES[0] else ""
        reason = f"stopped while {doing}, after the time limit of {limits.seconds:g} s{more}"
        return _failed(job, fields, results.TIMEOUT, reason)
    except (ChildDiedError, MemoryLimitError):
        raise
    except ChildError as error:
        return _failed(job, fields, results.ERROR, str(error))
    return Outcome({**fields, "status": results.OK, "error": None}, scores)


def _failed(job: CellJob, fields: dict[str, Any], status: str, error: str) -> Outcome:
    known = {name: value for name, value in fields.items() if name != "scores"}
    metrics = dict.fromkeys(job.metrics, math.nan)
    return Outcome({**known, "status": status, "error": error, "metrics": metrics}, None)


_LOCAL = threading.local()


def _child(limits: Limits, framework: str) -> Child:
    """Return the child of this thread: a worker's threads do not wait for each other.

    Under a memory limit a child serves one framework only: what others have loaded is not this detector's.
    """
    child: Child | None = getattr(_LOCAL, "child", None)
    if child is not None and child.threads != limits.threads:
        child.close()
        child = None
    if child is None:
        child = _LOCAL.child = Child(limits.threads)
    if limits.memory is not None and getattr(_LOCAL, "framework", framework) != framework:
        child.kill()
    _LOCAL.framework = framework
    return child


def measure(job: CellJob) -> Iterator[dict[str, Any]]:
    """Run a detector on a series in this process.

    Yields four dictionaries in turn: where it runs (after imports and a first run on a short series); the
    time of fitting; scores of the test part and the time of scoring; metrics.

    Raises
    ------
    InputError
        If the device does not exist, or the scores are not one finite number a point.
    Exception
        Whatever the detector raises.
    """
    with kept_surroundings():
        scores = yield from _scored(job)
    yield take_metrics(job.labels[job.train_length :], scores, job.buffer, job.metrics)


def _scored(job: CellJob) -> Generator[dict[str, Any], None, np.ndarray]:
    """Yield all but the metrics; return the scores."""
    detector, device = _placed(job.detector, job.device)
    clock = _Clock(device)
    _prepare(detector, device, job)
    yield {
        "device": device,
        "versions": versions(detector),
        "hardware": hardware(device),
        "peak_gpu_bytes": None,
    }

    arguments = (job.values.copy(), job.train_length, job.period, job.seed)
    seed_everything(job.seed)  # for those that draw from the global generators
    fit = getattr(detector, "fit", None)
    score: Callable[[], Any]
    if fit is None:
        fit_seconds, score = math.nan, lambda: detector.fit_score(*arguments)
    else:
        clock.start()
        score = fit(*arguments)
        fit_seconds = clock.stop()
    yield {"fit_seconds": fit_seconds}

    clock.start()
    scores = _checked(score(), len(job.values))[job.train_length :]  # a lazy array does its work there
    score_seconds = clock.stop()
    yield {"scores": scores, "score_seconds": score_seconds, "peak_gpu_bytes": clock.peak_gpu_bytes}
    return scores


def take_metrics(
    labels: np.ndarray, scores: np.ndarray, buffer: int, metrics: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Return the fields `metrics` and `undefined` of a cell from labels and scores (T,) of the test part."""
    found = evaluate(labels, scores, buffer, metrics=metrics)
    undefined = {name: str(found.reason) for name, value in found.items() if math.isnan(value)}
    return {"metrics": dict(found), "undefined": undefined}


class _Clock:
    """Wall time on a device that works on its own: it is waited for before the clock is read.

    Without a device named, torch speaks of the current one, which is ``cuda:0`` whatever the detector uses.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._cuda = importlib.import_module("torch").cuda if device.startswith("cuda") else None
        self._began = 0.0
        self.peak_gpu_bytes: int | None = None

    def start(self) -> None:
        if self._cuda is not None:
            self._cuda.synchronize(self._device)
            if self.peak_gpu_bytes is None:
                self._cuda.reset_peak_memory_stats(self._device)
        self._began = time.perf_counter()

    def stop(self) -> float:
        if self._cuda is not None:
            self._cuda.synchronize(self._device)
            self.peak_gpu_bytes = int(self._cuda.max_memory_allocated(self._device))
        return time.perf_counter() - self._began


def _placed(detector: Any, device: str) -> tuple[Any, str]:
    """Return the detector where it is to run, and where that is."""
    place = getattr(detector, "on", None)
    if place is None or not getattr(detector, "uses_gpu", True) or device == "cpu":
        return detector, "cpu"
    if "torch" not in sys.modules and device == "auto" and not _may_have_gpu():
        return place("cpu"), "cpu"
    from vetime_plugins.network.devices import choose_device

    chosen = str(choose_device(device))
    return place(chosen), chosen


def _may_have_gpu() -> bool:
    """Whether it is worth importing torch to find out."""
    return sys.platform == "darwin" or any(
        Path(name).exists() for name in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    )


_PREPARED: set[tuple[str, str, str, int]] = set()


def _prepare(detector: Any, device: str, job: CellJob) -> None:
    """Import what the detector needs and run it once, so that neither is in its times."""
    for module in getattr(detector, "requires", ()):
        with suppress(ImportError):  # a program, or missing: the detector itself will say so
            importlib.import_module(module)
    parameters = json.dumps(as_plain(detector.params), sort_keys=True)
    key = (detector.name, device, parameters, job.values.shape[1])
    if key in _PREPARED:
        return
    _PREPARED.add(key)
    points = np.arange(_WARM_UP)[:, None] + np.arange(job.values.shape[1])
    wave = np.sin(points / 4) + 0.1 * np.random.default_rng(0).standard_normal(points.shape)
    with suppress(Exception):  # if it has a reason to, it will raise on the series as well
        detector.fit_score(wave, _WARM_UP // 2, 25, job.seed)


def _checked(scores: Any, length: int) -> np.ndarray:
    """Return scores as float64 (length,); InputError unless they are real finite numbers, one a point."""
    if np.ma.is_masked(scores):
        masked = np.count_nonzero(np.ma.getmaskarray(scores))
        raise InputError(f"a detector must return a score for every point, got {masked} masked ones")
    found = np.asarray(scores)
    if found.dtype.kind not in "buifO":
        raise InputError(f"a detector must return real numbers as scores, got the dtype {found.dtype}")
    try:
        with np.errstate(over="ignore"):  # a long double that float64 cannot hold is infinite
            values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a detector must return real numbers as scores: {error}") from error
    if values.shape != (length,):
        raise InputError(f"a detector must return scores of the shape ({length},), got {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(f"{np.count_nonzero(~np.isfinite(values))} of {length} scores are not finite")
    return values


def check_device(device: str) -> None:
    """Raise InputError, which says what there is instead, if this machine has no such device."""
    if device not in {"auto", "cpu"}:  # else torch would be imported for nothing
        from vetime_plugins.network.devices import choose_device

        choose_device(device)
