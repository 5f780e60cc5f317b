"""The same run through joblib's backends: processes, a real Dask cluster of two workers, and lost workers."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

from tests.leaderboard.test_runner import HERE, data, lines, log, task  # noqa: F401 (fixtures)
from vetime_plugins.errors import InputError, MissingDependencyError, VETimeError
from vetime_plugins.leaderboard import backends, runner
from vetime_plugins.leaderboard.results import load_scores, read_cells
from vetime_plugins.leaderboard.runner import run_task
from vetime_plugins.leaderboard.worker import run_cell

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # schedulers warn about themselves
    pytest.mark.slow,
]


@pytest.fixture
def cluster(log):  # noqa: F811 (its workers inherit what `log` sets)
    """Two worker processes with one thread each, behind a scheduler that has an address."""
    distributed = pytest.importorskip("distributed")
    # The worker's own memory manager would stop it before the limits under test do.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
    ) as running:
        running.wait_for_workers(2)
        yield running


def same_as_here(task, tmp_path, **options):  # noqa: F811
    names = [f"{HERE}:Seeded", "random", "sub-knn"]
    run_task(task, tmp_path / "here", detectors=names)
    report = run_task(task, tmp_path / "there", detectors=names, **options)
    assert report.n_run == 9
    pairs = zip(read_cells(tmp_path / "here"), read_cells(tmp_path / "there"), strict=True)
    for a, b in pairs:
        assert (a.detector, a.series, a.status, a.fingerprint) == (
            b.detector,
            b.series,
            "OK",
            b.fingerprint,
        )
        np.testing.assert_array_equal(load_scores(tmp_path / "here", a), load_scores(tmp_path / "there", b))


def test_loky_gives_the_same(task, tmp_path):  # noqa: F811
    same_as_here(task, tmp_path, backend="loky", n_jobs=2)


def test_loky_survives_a_killed_worker(task, tmp_path, log):  # noqa: F811
    # many more cells than joblib takes at a time: those it has not yet seen must not be lost with the worker
    names = [f"{HERE}:KillsWorker", f"{HERE}:Logged", "random", "moving-variance", "sub-pca", "sub-knn"]
    report = run_task(task, tmp_path / "out", detectors=names, backend="loky", n_jobs=2)
    assert (tmp_path / "log.killed").exists()
    assert [cell.status for cell in report.cells] == ["OK"] * 18
    assert len(read_cells(tmp_path / "out")) == 18


class TestDask:
    def test_a_cluster_gives_the_same_and_both_workers_work(self, cluster, task, tmp_path, log):  # noqa: F811
        same_as_here(task, tmp_path, backend="dask", address=cluster.scheduler_address)
        slow = run_task(
            task,
            tmp_path / "slow",
            detectors=[f"{HERE}:Slow"],
            backend="dask",
            address=cluster.scheduler_address,
        )
        assert [cell.status for cell in slow.cells] == ["OK"] * 3

    def test_limits_hold_on_a_cluster(self, cluster, task, tmp_path, log):  # noqa: F811
        limited = dataclasses.replace(task, time_limit=2.0)
        report = run_task(
            limited,
            tmp_path / "out",
            detectors=[f"{HERE}:Hangs", f"{HERE}:Raises", "random"],
            backend="dask",
            address=cluster.scheduler_address,
            limit=1,
        )
        assert {cell.detector: cell.status for cell in report.cells} == {
            "hangs": "TIMEOUT",
            "raises": "ERROR",
            "random": "OK",
        }

    def test_a_killed_worker_loses_nothing(self, cluster, task, tmp_path, log):  # noqa: F811
        report = run_task(
            task,
            tmp_path / "out",
            detectors=[f"{HERE}:Logged", f"{HERE}:KillsWorker", "random"],
            backend="dask",
            address=cluster.scheduler_address,
        )
        assert (tmp_path / "log.killed").exists()
        assert [cell.status for cell in report.cells] == ["OK"] * 9
        assert len(read_cells(tmp_path / "out")) == 9

    def test_nobody_at_the_address(self, task, tmp_path):  # noqa: F811
        pytest.importorskip("distributed")
        with pytest.raises(InputError, match="no Dask scheduler answers at"):
            run_task(task, tmp_path, detectors=["random"], backend="dask", address="tcp://127.0.0.1:9")


class TestRay:
    def test_a_cluster_gives_the_same(self, task, tmp_path):  # noqa: F811
        pytest.importorskip("ray")
        same_as_here(task, tmp_path, backend="ray", n_jobs=2)

    def test_a_killed_worker_loses_nothing(self, task, tmp_path, log):  # noqa: F811
        pytest.importorskip("ray")
        report = run_task(
            task,
            tmp_path / "out",
            detectors=[f"{HERE}:Logged", f"{HERE}:KillsWorker", "random"],
            backend="ray",
            n_jobs=2,
        )
        assert (tmp_path / "log.killed").exists()
        assert [cell.status for cell in report.cells] == ["OK"] * 9
        assert len(read_cells(tmp_path / "out")) == 9

    def test_nobody_at_the_address(self, task, tmp_path):  # noqa: F811
        pytest.importorskip("ray")
        with pytest.raises(InputError, match="no Ray cluster answers at"):
            run_task(task, tmp_path, detectors=["random"], backend="ray", address="127.0.0.1:9")


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_what_a_backend_lacks_is_named(task, tmp_path, monkeypatch, backend, module):  # noqa: F811
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f"needs {module}; run: pip install"):
        run_task(task, tmp_path, detectors=["random"], backend=backend)


def test_a_cell_that_never_comes_back_is_not_passed_over(task, tmp_path, monkeypatch):  # noqa: F811
    def forgetful(jobs, **options):
        for number, (place, job, limits) in enumerate(jobs):
            if number != 1:
                yield place, run_cell(job, limits)

    monkeypatch.setattr(runner, "run_all", forgetful)
    with pytest.raises(VETimeError, match="1 of 3 cells never came back from the backend local"):
        run_task(task, tmp_path / "out", detectors=["random"])
    assert len(read_cells(tmp_path / "out")) == 2


def test_workers_that_are_lost_again_and_again_end_the_run(monkeypatch):
    class GoneError(Exception):
        pass

    def parallel(joblib, backend, workers, source, running):
        running[0] = next(source)
        raise GoneError
        yield

    monkeypatch.setattr(backends, "_parallel", parallel)
    monkeypatch.setattr(backends, "_lost_worker_errors", lambda: (GoneError,))
    with pytest.raises(VETimeError, match="lost over and over again"):
        list(backends.run_all([("place", None, None)]))
