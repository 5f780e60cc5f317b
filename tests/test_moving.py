"""A stream that uses again what it found for the last window scores each point as the whole window does."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.retrieval.places import Workspace
from vetime_plugins.retrieval.sliding import SlidingWindows
from vetime_plugins.retrieval.stream import SHORTEST, SlidingEvidence
from vetime_plugins.streaming import StreamingVETime

CONTEXT = SHORTEST
STEPS = 40


def series(kind: str, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    x = np.sin(2 * np.pi * t / 50) + 0.2 * rng.standard_normal(n)
    if kind == "drift":
        x = x * (1 + 3 * t / n) + 8 * t / n
    elif kind == "noise":
        x = rng.standard_normal(n)
    elif kind == "walk":
        x = rng.standard_normal(n).cumsum()
    elif kind == "spikes":
        x[rng.integers(0, n, 6)] += 9
        x[-25] += 6
    elif kind == "extreme":
        x[-20] = 1e6
    elif kind == "constant":
        x[-CONTEXT // 2 :] = 0.25
    elif kind == "integers":
        x = rng.integers(0, 4, n).astype(float)
    elif kind == "gaps":
        x[-STEPS - 30 : -STEPS - 20] = np.nan
        x[-12] = np.nan
    elif kind == "unit":
        x = 1e-9 * x + 1e-6
    return x


@pytest.fixture(scope="module")
def pipeline():
    return cached_pipeline("small", device="cpu")


@pytest.fixture
def compared(monkeypatch):
    """Whether each window was told from what was remembered."""
    told: list[bool] = []
    find = SlidingEvidence.find

    def recording(self, *args):
        found = find(self, *args)
        told.append(found is not None)
        return found

    monkeypatch.setattr(SlidingEvidence, "find", recording)
    return told


def assert_equals_the_window(found, pipeline, x, stops, **kwargs):
    for stop in stops:
        whole = pipeline.score(x[stop - CONTEXT : stop], **kwargs)
        np.testing.assert_allclose(found[stop], whole[-1], atol=1e-4)


@pytest.mark.parametrize("n_reference", [0, 700])
@pytest.mark.parametrize(
    ("kind", "remembered"),
    [
        *[(kind, True) for kind in ("sine", "drift", "noise", "walk", "spikes", "unit")],
        *[(kind, False) for kind in ("extreme", "constant", "integers", "gaps")],
    ],
)
def test_a_score_is_that_of_the_window(pipeline, compared, kind, remembered, n_reference):
    x = series(kind, n_reference + CONTEXT + STEPS)
    reference = x[:n_reference] if n_reference else None
    stream = StreamingVETime(CONTEXT, device="cpu")
    stream.warm_up(x[:-STEPS], as_reference=n_reference > 0)
    first = len(x) - STEPS
    found = {first + i + 1: stream.update(value)[0] for i, value in enumerate(x[first:])}
    assert_equals_the_window(found, pipeline, x, list(found)[::9], reference=reference)
    if remembered:
        assert compared == [True] * STEPS
    else:
        assert not any(compared[-10:])


def test_another_unit_of_the_context_is_noticed(pipeline):
    """The deviation of the context doubles while the stream goes on, and its mean moves away."""
    x = series("sine", 3 * CONTEXT)
    x[CONTEXT:] = 3 * x[CONTEXT:] + 20
    stream = StreamingVETime(CONTEXT, device="cpu")
    stream.warm_up(x[:CONTEXT])
    found = dict(enumerate(stream.update(x[CONTEXT : CONTEXT + 130]), start=CONTEXT + 1))
    assert_equals_the_window(found, pipeline, x, [CONTEXT + 1, CONTEXT + 17, CONTEXT + 64, CONTEXT + 129])


def test_several_variables_are_compared_anew(pipeline, compared):
    x = np.stack([series("sine", CONTEXT + 4), series("noise", CONTEXT + 4)], axis=1)
    stream = StreamingVETime(CONTEXT, device="cpu")
    stream.warm_up(x[:-4])
    found = dict(enumerate(stream.update(x[-4:]), start=CONTEXT + 1))
    assert_equals_the_window(found, pipeline, x, list(found))
    assert not compared


@pytest.mark.parametrize("stride", [3, 5])
def test_strides_and_batches(pipeline, stride):
    x = series("sine", CONTEXT + 60)
    stream = StreamingVETime(CONTEXT, stride=stride, device="cpu")
    stream.warm_up(x[:CONTEXT])
    cuts = [stream.update(part) for part in np.split(x[CONTEXT:], [1, 2, 20, 21, 47])]
    scores = np.concatenate(cuts)
    for end in range(stride, len(scores) + 1, 4 * stride):
        whole = pipeline.score(x[end : end + CONTEXT])
        np.testing.assert_allclose(scores[end - stride : end], whole[-stride:], atol=1e-4)


def test_copies_leave_the_memory_behind(pipeline):
    x = series("sine", CONTEXT + 8)
    stream = StreamingVETime(CONTEXT, device="cpu")
    stream.warm_up(x[:CONTEXT])
    stream.update(x[CONTEXT : CONTEXT + 4])
    stored = pickle.dumps(stream)
    assert len(stored) < 16 * 8 * CONTEXT
    others = pickle.loads(stored), copy.deepcopy(stream), StreamingVETime.from_state_dict(stream.state_dict())
    expected = stream.update(x[-4:])
    for other in others:
        np.testing.assert_allclose(other.update(x[-4:]), expected, atol=1e-4)


def test_a_point_costs_little(pipeline):
    """Of a context only its newest windows are compared: the numbers that are multiplied tell it."""
    x = series("sine", CONTEXT + 200)
    evidence = SlidingEvidence(pipeline.config.retrieval)
    sizes = []

    class Counting(SlidingWindows):
        def _compare(self, rows, columns):
            sizes.append(len(rows) * (columns.stop - columns.start))
            return super()._compare(rows, columns)

    scale = Counting(16, [CONTEXT], evidence.config, np.empty(0), Workspace())
    timeline = x.astype(np.float32)
    for at in range(200):
        sizes.clear()
        scale.move_on(x[at : at + CONTEXT], CONTEXT + at)
        scale.distances(timeline[at : at + CONTEXT], 1.0)
    assert sum(sizes) < 0.1 * len(scale.queries) * scale.n_columns
