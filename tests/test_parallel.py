"""Many series through joblib's workers: threads, processes, and a real Dask cluster."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from tests._tiny import save_tiny_weights
from vetime_plugins import InputError, VETimePipeline
from vetime_plugins.errors import MissingDependencyError
from vetime_plugins.network import evidence
from vetime_plugins.parallel import cut_evenly
from vetime_plugins.pipeline import _CACHE, cached_pipeline

joblib = pytest.importorskip("joblib")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> VETimePipeline:
    return VETimePipeline.from_pretrained(save_tiny_weights(tmp_path_factory.mktemp("tiny")), device="cpu")


@pytest.fixture(scope="module")
def many() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=200 + 50 * i) for i in range(4)] + [rng.normal(size=(120, 2))]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)


def loaded(_: int) -> tuple[int, int]:
    return os.getpid(), len(_CACHE)


@pytest.mark.parametrize("options", [{}, {"per_variable": True}, {"readout": "window"}], ids=str)
def test_threads_give_the_scores_of_this_process(
    pipeline: VETimePipeline, many: list[np.ndarray], options: dict[str, Any]
) -> None:
    with joblib.parallel_config(backend="threading"):
        assert_same(pipeline.score(many, n_jobs=2, **options), pipeline.score(many, **options))


def test_processes_give_the_same_and_each_loads_the_weights_once(
    pipeline: VETimePipeline, many: list[np.ndarray]
) -> None:
    get_reusable_executor().shutdown(wait=True)  # its workers may have served other tests, with other weights
    assert_same(pipeline.score(many, n_jobs=2), pipeline.score(many))
    assert_same(pipeline.score(many, n_jobs=2), pipeline.score(many))
    counts = dict(joblib.Parallel(n_jobs=2)(joblib.delayed(loaded)(i) for i in range(8)))
    assert os.getpid() not in counts
    assert set(counts.values()) | {0} == {0, 1}  # a worker may have had nothing to score


def test_references_go_along(pipeline: VETimePipeline, many: list[np.ndarray]) -> None:
    references = [one[:100].copy() + 1 for one in many]
    with joblib.parallel_config(backend="threading"):
        found = pipeline.score(many, reference=references, n_jobs=2)
    assert_same(found, pipeline.score(many, reference=references))


def test_progress_counts_the_points_of_finished_series(
    pipeline: VETimePipeline, many: list[np.ndarray]
) -> None:
    seen: list[tuple[int, int]] = []
    with joblib.parallel_config(backend="threading"):
        pipeline.score(many, n_jobs=2, progress=lambda done, total: seen.append((done, total)))
    total = sum(one.size for one in many)
    assert seen == [(int(done), total) for done in np.cumsum([one.size for one in many])]


def test_one_series_or_one_job_needs_no_workers(
    pipeline: VETimePipeline, many: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    np.testing.assert_array_equal(pipeline.score(many[0], n_jobs=-1), pipeline.score(many[0]))
    assert_same(pipeline.score(many, n_jobs=1), pipeline.score(many))
    with pytest.raises(MissingDependencyError, match="needs joblib; run: pip install joblib"):
        pipeline.score(many, n_jobs=2)


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all", True])
@pytest.mark.parametrize("several", [False, True])
def test_a_number_of_jobs_that_is_none_is_refused(
    pipeline: VETimePipeline, many: list[np.ndarray], n_jobs: Any, several: bool
) -> None:
    with pytest.raises(InputError, match="n_jobs must be a number of workers, or -1 for all"):
        pipeline.score(many if several else many[0], n_jobs=n_jobs)


def test_a_bad_series_is_named_before_any_work(pipeline: VETimePipeline, many: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"series\[5\] needs finite values"):
        pipeline.score([*many, np.array([np.inf, 1.0])], n_jobs=2)


def test_copies_of_a_pipeline_share_their_weights(pipeline: VETimePipeline) -> None:
    text = pickle.dumps(pipeline)
    assert len(text) < 1_000
    assert pickle.loads(text) is pickle.loads(text)
    assert pickle.loads(text).batch_size == pipeline.batch_size


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A client of two worker processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as running,
        distributed.Client(running.scheduler_address) as client,
    ):
        client.wait_for_workers(2)
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the scheduler warns about itself
class TestDask:
    def test_both_workers_score_and_load_the_weights_once(
        self, cluster: Any, pipeline: VETimePipeline, many: list[np.ndarray]
    ) -> None:
        with joblib.parallel_config(backend="dask"):
            assert_same(pipeline.score(8 * many, n_jobs=-1), 8 * pipeline.score(many))
        counts = cluster.run(loaded, 0)
        assert [count for _, count in counts.values()] == [1, 1]

    def test_a_killed_worker_loses_nothing(self, cluster: Any) -> None:
        small = VETimePipeline.from_pretrained("small", device="cpu")
        rng = np.random.default_rng(0)
        many = [rng.normal(size=3_000) for _ in range(60)]
        first = next(iter(cluster.run(os.getpid).values()))
        timer = threading.Timer(1.0, os.kill, (first, signal.SIGKILL))
        timer.start()
        with joblib.parallel_config(backend="dask"):
            found = small.score(many, n_jobs=-1)
        assert not timer.is_alive()
        assert_same(found, small.score(many))


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("sizes", [[1], [5] * 3, [1000] * 400, [1] * 50 + [10_000] + [1] * 50])
def test_parts_are_even_neighbours_and_not_many(sizes: list[int], n_jobs: int) -> None:
    cuts = cut_evenly(sizes, n_jobs)
    assert [i for cut in cuts for i in range(len(sizes))[cut]] == list(range(len(sizes)))
    assert all(cut.stop > cut.start for cut in cuts)
    workers = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    assert len(cuts) <= 8 * workers
    assert max(sum(sizes[cut]) for cut in cuts) <= sum(sizes) / (8 * workers) + max(sizes)


@pytest.mark.parametrize("n_points", [600, 210_000])
def test_little_work_stays_on_one_thread_and_the_number_of_threads_is_restored(
    monkeypatch: pytest.MonkeyPatch, n_points: int
) -> None:
    used = []

    def stop(*args: Any, **kwargs: Any) -> Any:
        used.append(torch.get_num_threads())
        raise ZeroDivisionError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(evidence, "retrieval_evidence", stop)
        with pytest.raises(ZeroDivisionError):
            cached_pipeline("small", device="cpu").score(np.arange(n_points) % 97.0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == [1 if n_points < 200_000 else 2]
