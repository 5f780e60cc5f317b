"""The weights without retrieval go through the pipeline as all others do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from tests._shared import noisy_wave
from vetime_plugins import InputError, VETimePipeline
from vetime_plugins.network.expectation import ExpectationNetwork
from vetime_plugins.network.surprise import Reader, find_margins
from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.overlap import find_beside


@pytest.fixture(scope="module")
def pipeline() -> VETimePipeline:
    return VETimePipeline.from_pretrained("expectation", device="cpu")


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 100, 1023, 1025, 3000])
@pytest.mark.parametrize("variables", [None, 1, 3])
def test_scores_have_the_length_of_the_series(
    pipeline: VETimePipeline, length: int, variables: int | None
) -> None:
    scores = pipeline.score(noisy_wave(length, variables))
    assert scores.shape == (length,)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


def test_one_spike_stands_out(pipeline: VETimePipeline) -> None:
    x = noisy_wave(1000)
    x[600] += 6
    scores = pipeline.score(x)
    assert scores.argmax() == 600
    assert scores[600] > 0.99
    assert np.median(scores) == pytest.approx(0.5, abs=0.05)  # a score is a share of what is usual


def test_a_broken_cycle_stands_out(pipeline: VETimePipeline) -> None:
    x = noisy_wave(2000)
    x[1200:1260] = x[1200:1260][::-1].copy() * 0.2
    assert 1190 <= pipeline.score(x).argmax() < 1270


def test_neighbours_in_the_list_do_not_change_scores(pipeline: VETimePipeline) -> None:
    many = [noisy_wave(n, seed=n) for n in (40, 3000, 7)] + [noisy_wave(200, 2)]
    for one, scores in zip(many, pipeline.score(many), strict=True):
        np.testing.assert_array_equal(scores, pipeline.score(one))


def test_batch_size_does_not_change_scores(pipeline: VETimePipeline) -> None:
    other = VETimePipeline.from_pretrained("expectation", device="cpu", batch_size=1)
    x = noisy_wave(3000)
    np.testing.assert_allclose(other.score(x), pipeline.score(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e-9, 1e9])
def test_the_unit_does_not_matter(pipeline: VETimePipeline, factor: float) -> None:
    x = noisy_wave(400)
    np.testing.assert_allclose(pipeline.score(x * factor), pipeline.score(x), atol=2e-3)


def test_constant_variables_and_gaps(pipeline: VETimePipeline) -> None:
    x = noisy_wave(300)
    np.testing.assert_array_equal(pipeline.score(np.ones(50)), 0)
    padded = np.column_stack([np.full(300, 3.0), x])
    np.testing.assert_allclose(pipeline.score(padded), pipeline.score(x), atol=1e-9)
    own = pipeline.score(padded, per_variable=True)
    np.testing.assert_array_equal(own[:, 0], 0)
    filled, gappy = x.copy(), x.copy()
    filled[100:103] = np.interp([1, 2, 3], [0, 4], x[[99, 103]])
    gappy[100:103] = np.nan
    np.testing.assert_allclose(pipeline.score(gappy), pipeline.score(filled), atol=1e-12)


def test_per_variable_scores_find_the_variable(pipeline: VETimePipeline) -> None:
    x = noisy_wave(600, 3)
    x[300, 1] += 8
    scores = pipeline.score(x, per_variable=True)
    assert scores.shape == (600, 3)
    assert np.unravel_index(scores.argmax(), scores.shape) == (300, 1)
    assert pipeline.score(x).argmax() == 300


def test_a_reference_is_read_as_what_came_before(pipeline: VETimePipeline) -> None:
    x = noisy_wave(1000)
    x[960] += 5
    assert isinstance(pipeline.model, ExpectationNetwork)
    reader = Reader(pipeline.model)
    whole, _ = find_margins(reader, as_series(x))
    one, earlier = as_series(x[940:]), as_series(x[:940])
    after, _ = find_margins(reader, one, find_beside(one, [earlier]))
    np.testing.assert_allclose(after, whole[940:], atol=1e-6)
    assert pipeline.score(x[940:], reference=x[:940]).argmax() == 20
    np.testing.assert_array_equal(pipeline.score(x, reference=x[:500]), pipeline.score(x))  # nothing new
    # One step alone is judged by what came before it.
    odd, usual = (pipeline.score([value], reference=noisy_wave(400))[0] for value in (9.0, x[400]))
    assert odd > 0.99 > 0.9 > usual


def test_workers_copies_and_pickles(pipeline: VETimePipeline) -> None:
    many = [noisy_wave(n, seed=n) for n in (300, 80)]
    expected = pipeline.score(many)
    data = pickle.dumps(pipeline)
    assert len(data) < 500
    for twin in (pickle.loads(data), copy.deepcopy(pipeline)):
        for found, scores in zip(twin.score(many), expected, strict=True):
            np.testing.assert_array_equal(found, scores)
    changed = copy.deepcopy(pipeline)
    assert isinstance(changed.model, ExpectationNetwork)
    changed.model.head.weight.data.mul_(2)
    again = pickle.loads(pickle.dumps(changed))
    np.testing.assert_array_equal(again.score(many[0]), changed.score(many[0]))
    assert np.abs(again.score(many[0]) - expected[0]).max() > 1e-6
    pytest.importorskip("joblib")
    for found, scores in zip(pipeline.score(many, n_jobs=2), expected, strict=True):
        np.testing.assert_allclose(found, scores, atol=1e-6)


def test_progress_counts_every_value(pipeline: VETimePipeline) -> None:
    calls: list[tuple[int, int]] = []
    pipeline.score(
        [noisy_wave(100, 2), np.ones(30)], progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (230, 230)


def test_an_explanation_is_what_was_expected(pipeline: VETimePipeline) -> None:
    x = np.column_stack([noisy_wave(800), np.full(800, 2.0)])
    x[500, 0] += 7
    found = pipeline.explain(x)
    np.testing.assert_array_equal(found.scores, pipeline.score(x))
    np.testing.assert_array_equal(found.variable_scores, pipeline.score(x, per_variable=True))
    assert found.reconstruction.shape == (800, 2)
    assert found.expected_distance is not None
    np.testing.assert_array_equal(found.reconstruction[:, 1], 2)
    np.testing.assert_array_equal(found.expected_distance[:, 1], 0)
    far = np.abs(x - found.reconstruction)[:, 0] / found.expected_distance[:, 0]
    assert far.argmax() == 500
    assert far[500] > 3
    assert (far < 3).mean() > 0.9
    assert found.expert_names == ()
    assert found.expert_weights.shape == (800, 0)
    assert found.image.ndim == 3


def test_an_explanation_is_drawn(pipeline: VETimePipeline) -> None:
    pytest.importorskip("matplotlib")
    figure = pipeline.plot(noisy_wave(300), explain=True)
    assert len(figure.axes) == 3  # series, score, image: there are no experts
    _, labels = figure.axes[0].get_legend_handles_labels()
    assert labels == ["expected", "95 % expected here", "series"]


def test_what_it_has_not_is_refused(pipeline: VETimePipeline) -> None:
    with pytest.raises(InputError, match=r"variable_gammas need weights of a VETime network.*'expectation'"):
        pipeline.score(noisy_wave(50), variable_gammas=[0.5])
    with pytest.raises(InputError, match="embeddings need weights of a VETime network"):
        pipeline.embed(noisy_wave(50))


def test_bfloat16_is_close(pipeline: VETimePipeline) -> None:
    fast = VETimePipeline.from_pretrained("expectation", device="cpu", dtype="bfloat16")
    x = noisy_wave(600)
    x[300] += 5
    np.testing.assert_allclose(fast.score(x), pipeline.score(x), atol=0.05)
