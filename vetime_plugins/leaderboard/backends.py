"""Where cells are run: joblib's backends, on this machine or on an existing cluster.

==========  =============================================================================================
name        workers
==========  =============================================================================================
local       threads of this process, each with a child process; what to use on one machine
loky        processes of joblib, each with a child process
dask        the workers of the Dask cluster whose scheduler has the address, or a new one on this machine
ray         the workers of the Ray cluster at the address, or a new one on this machine
==========  =============================================================================================

Whatever the backend, a detector runs in a child process of its worker, where it can be stopped. A worker that
is lost takes no finished cell with it; what it was running is run again elsewhere.
"""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar

from vetime_plugins.detectors.isolation import close_children
from vetime_plugins.errors import InputError, MissingDependencyError, VETimeError
from vetime_plugins.leaderboard.worker import CellJob, Limits, Outcome, run_cell

__all__ = ["BACKENDS", "run_all"]

BACKENDS = ("local", "loky", "dask", "ray")

_LOST_WORKERS = 3  # without a finished cell in between; then something is wrong with the machine
_CHUNK = 4  # cells for each worker at a time, where a backend gives nothing back before all are done

PlaceT = TypeVar("PlaceT")


def run_all(
    jobs: Iterable[tuple[PlaceT, CellJob, Limits]],
    *,
    n_jobs: int = 1,
    backend: str = "local",
    address: str | None = None,
) -> Iterator[tuple[PlaceT, Outcome]]:
    """Run cells, and yield each as soon as it is done: what stood for it in `jobs`, and its outcome.

    Parameters
    ----------
    jobs : iterable of (place, CellJob, Limits)
        Read as workers become free; whatever the place is, it comes back with the outcome.
    n_jobs, backend, address
        As in `vetime_plugins.leaderboard.runner.run_task`.

    Raises
    ------
    InputError
        If there is no such backend, or the cluster cannot be reached.
    MissingDependencyError
        If what the backend needs is not installed.
    VETimeError
        If workers are lost over and over again.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    if address is not None and backend in {"local", "loky"}:
        raise InputError(f"the backend {backend} is on this machine and takes no address")
    joblib = _imported("joblib", backend)
    waiting = iter(jobs)
    again: list[tuple[PlaceT, CellJob, Limits]] = []
    with _ready(joblib, backend, n_jobs, address) as workers:
        lost = 0
        while True:
            running: dict[int, tuple[PlaceT, CellJob, Limits]] = {}
            source = _chain(again, waiting)
            again = []
            try:
                for number, outcome in _parallel(joblib, backend, workers, source, running):
                    lost = 0
                    yield running.pop(number)[0], outcome
                return
            except _lost_worker_errors() as error:
                lost += 1
                again = list(running.values())
                if lost > _LOST_WORKERS:
                    raise VETimeError(
                        f"workers of {backend} are lost over and over again, without a cell finished in "
                        f"between ({type(error).__name__}: {error}); finished cells are kept"
                    ) from error


def _parallel(
    joblib: Any, backend: str, workers: int, source: Iterator[Any], running: dict[int, Any]
) -> Iterator[tuple[int, Outcome]]:
    """Run cells with joblib; `running` holds those that are out, by number."""

    def calls(some: Iterable[Any]) -> Iterator[Any]:
        for place, job, limits in some:
            number = next(numbers)
            running[number] = (place, job, limits)
            yield joblib.delayed(_run)(number, job, limits)

    numbers = iter(range(2**62))
    if backend == "ray":  # its joblib backend gives nothing back before all are done
        while chunk := list(islice(source, _CHUNK * workers)):
            # All at once: what joblib has not yet taken when a worker is lost must count as running, too.
            yield from joblib.Parallel(n_jobs=workers, batch_size=1)(list(calls(chunk)))
        return
    # One cell is one task: together with others, it would wait for the slowest of them.
    parallel = joblib.Parallel(
        n_jobs=workers, batch_size=1, pre_dispatch="2*n_jobs", return_as="generator_unordered"
    )
    finished = parallel(calls(source))
    try:
        yield from finished
    finally:
        finished.close()


def _run(number: int, job: CellJob, limits: Limits) -> tuple[int, Outcome]:
    return number, run_cell(job, limits)


def _chain(first: list[Any], then: Iterator[Any]) -> Iterator[Any]:
    yield from first
    for one in then:  # noqa: UP028 (`yield from` would end `then` too when a lost worker ends this round)
        yield one


@contextmanager
def _ready(joblib: Any, backend: str, n_jobs: int, address: str | None) -> Iterator[int]:
    """Make a backend the one that joblib uses; gives the number of workers."""
    with ExitStack() as stack:
        if backend == "dask":
            stack.enter_context(_dask(n_jobs, address))
            stack.enter_context(joblib.parallel_config(backend="dask"))
            yield joblib.effective_n_jobs(-1)
        elif backend == "ray":
            stack.enter_context(_ray(n_jobs, address))
            stack.enter_context(joblib.parallel_config(backend="ray", n_jobs=n_jobs))
            yield n_jobs if address is None else joblib.effective_n_jobs(-1)
        else:
            stack.callback(close_children)
            stack.enter_context(
                joblib.parallel_config(backend="threading" if backend == "local" else backend)
            )
            if backend == "loky":
                stack.callback(_end_loky)
            yield n_jobs


def _end_loky() -> None:
    """End joblib's processes, and with them their children; they would wait for minutes."""
    loky = importlib.import_module("joblib.externals.loky")
    loky.get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


@contextmanager
def _dask(n_jobs: int, address: str | None) -> Iterator[None]:
    distributed = _imported("distributed", "dask")
    with ExitStack() as stack:
        if address is None:
            # The dashboard is for people who stay with a cluster; this one ends with the run.
            cluster = distributed.LocalCluster(
                n_workers=n_jobs, threads_per_worker=1, processes=True, dashboard_address=None
            )
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout="10s"))
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {address}: {error}") from error
        client.wait_for_workers(1)
        stack.callback(_end_children, client)
        yield


def _end_children(client: Any) -> None:
    with suppress(Exception):  # a worker that is gone has none left
        client.run(close_children)


@contextmanager
def _ray(n_jobs: int, address: str | None) -> Iterator[None]:
    ray = _imported("ray", "ray")
    _imported("ray.util.joblib", "ray").register_ray()
    _check_reachable(address)
    try:
        ray.init(
            address=address,
            num_cpus=n_jobs if address is None else None,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
        )
    except (ConnectionError, ValueError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise where nobody listens at ``host:port`` or ``ray://host:port``; Ray would try for minutes."""
    _, _, place = (address or "").rpartition("//")
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():  # such as "auto"
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from error


def _lost_worker_errors() -> tuple[type[BaseException], ...]:
    """Return what joblib raises when workers are gone."""
    found: list[type[BaseException]] = []
    for module, name in (
        ("joblib.externals.loky.process_executor", "TerminatedWorkerError"),
        ("distributed.scheduler", "KilledWorker"),
        ("ray.exceptions", "RayActorError"),
    ):
        with suppress(ImportError, AttributeError):
            if module in sys.modules:
                found.append(getattr(sys.modules[module], name))
    return tuple(found)


def _imported(module: str, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = {"joblib": '"vetime-plugins[leaderboard]"', "distributed": '"vetime-plugins[cluster]"'}
        raise MissingDependencyError(
            f"the backend {backend} needs {module}; run: pip install {extra.get(module, 'ray')}"
        ) from error
