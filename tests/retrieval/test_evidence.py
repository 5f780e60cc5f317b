"""The evidence that a score starts from: sharp on single steps, and more than distances of values."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vetime_plugins import VETimePipeline
from vetime_plugins.errors import InputError
from vetime_plugins.metrics import auc_pr
from vetime_plugins.retrieval import RetrievalConfig, RetrievalFeatures, retrieval_distances, retrieval_score
from vetime_plugins.retrieval.evidence import novelty
from vetime_plugins.retrieval.features import standardise
from vetime_plugins.retrieval.points import point_evidence
from vetime_plugins.retrieval.statistics import _statistics, statistic_distances

PLAIN = RetrievalConfig(statistics=(16, 32, 64, 128, 256, 512), point_gain=1.25)
CONFIG = dataclasses.replace(PLAIN, temperature=3.0, smoothing=9)


def _evidence(x: NDArray[np.float64], **options: object) -> RetrievalFeatures:
    return retrieval_distances(torch.from_numpy(x), config=CONFIG, **options)  # type: ignore[arg-type]


def _spikes(
    base: str, length: int, count: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Series with one-step spikes of ten deviations of its noise, and where they are."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(length)
    x = {"noise": noise, "sine": 10 * np.sin(np.arange(length) / 4) + noise, "walk": noise.cumsum()}[base]
    at = rng.choice(np.arange(6, length - 6), count, replace=False)
    x[at] += rng.choice([-10.0, 10.0], count)
    return x, at


def _labels(length: int, at: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.isin(np.arange(length), at).astype(int)


def _peaks_are_exact(score: NDArray[np.floating], at: NDArray[np.intp]) -> bool:
    """Tell whether each spike is higher than the normal steps within five of it."""
    normal = np.where(_labels(len(score), at) == 1, -np.inf, score)
    return all(score[step] > normal[step - 5 : step + 6].max() for step in at)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("base", "length", "count"),
    [("noise", 1000, 5), ("sine", 1000, 5), ("walk", 1000, 5), ("noise", 120, 3), ("sine", 120, 3)],
)
def test_spikes_of_one_step_are_found_to_the_step(base: str, length: int, count: int, seed: int) -> None:
    x, at = _spikes(base, length, count, seed)
    score = retrieval_score(_evidence(x)).numpy()
    assert auc_pr(_labels(length, at), score) >= 0.98
    assert _peaks_are_exact(score, at)


@pytest.mark.parametrize("base", ["noise", "sine", "walk"])
def test_the_network_keeps_the_place_of_a_spike(base: str) -> None:
    x, at = _spikes(base, 1000, 5)
    score = VETimePipeline.from_pretrained("small", device="cpu").score(x)
    assert auc_pr(_labels(1000, at), score) >= 0.98
    assert _peaks_are_exact(score, at)


def test_jumps_that_recur_are_no_points() -> None:
    # Every rise and fall of a square wave stands out from its surroundings, but so do all of them.
    x = np.where(np.arange(2000) // 25 % 2, 1.0, -1.0) + 0.05 * np.random.default_rng(0).standard_normal(2000)
    standard, _ = standardise([torch.from_numpy(x[None])])
    assert point_evidence(standard, None, torch.zeros(1, 2000)).max() < 0.5


def test_an_unusual_roughness_is_found_where_no_two_windows_look_alike() -> None:
    x = np.random.default_rng(3).standard_normal(4000).cumsum()
    quiet = slice(2000, 2060)
    x[2060:] += x[2000] - x[2059]
    x[quiet] = x[2000]
    labels = np.zeros(4000, dtype=int)
    labels[quiet] = 1
    plain = retrieval_score(retrieval_distances(torch.from_numpy(x))).numpy()
    score = retrieval_score(_evidence(x)).numpy()
    assert auc_pr(labels, score) > 2 * auc_pr(labels, plain)


def test_an_anomaly_that_recurs_stays_one() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(3000)
    x = np.sin(2 * np.pi * t / 50) + 0.05 * rng.standard_normal(3000)
    labels = np.zeros(3000, dtype=int)
    for start in (400, 930, 1510, 2040, 2700):
        x[start : start + 40] += 0.3 * rng.standard_normal(40)
        labels[start : start + 40] = 1
    assert auc_pr(labels, retrieval_score(_evidence(x)).numpy()) > 0.9


def _plain_statistics(x: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Distances (T,) by statistics, every window a query and in the bank, one neighbour."""
    x = (x - x.mean()) / x.std()
    windows = np.lib.stride_tricks.sliding_window_view(x, window)
    moved = [windows.std(1), np.ptp(windows, 1), np.abs(np.diff(windows, axis=1)).mean(1)]
    points = np.log(np.stack(moved, 1) + 0.05)
    points /= points.std(0) + 0.01
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).mean(2))
    apart = np.abs(np.subtract.outer(np.arange(len(points)), np.arange(len(points)))) >= round(window / 2)
    nearest = np.where(apart, distances, np.inf).min(1)
    n = len(nearest)
    return np.array([nearest[max(0, t - window + 1) : min(t, n - 1) + 1].mean() for t in range(len(x))])


@pytest.mark.parametrize("window", [7, 16])
def test_statistic_distances_equal_the_plain_reference(window: int) -> None:
    x = _spikes("walk", 180, 2)[0]
    standard, _ = standardise([torch.from_numpy(x[None])])
    got, _, _ = statistic_distances(
        standard, None, window, RetrievalConfig(neighbours=1, query_overlap=window)
    )
    np.testing.assert_allclose(got[0].numpy(), _plain_statistics(x, window), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (3.0, 1e6), (-1e12, 5.0), (1e300, 0.0)])
def test_scale_and_offset_change_nothing(factor: float, offset: float) -> None:
    x = _spikes("sine", 700, 2)[0]
    expected, got = _evidence(x).evidence, _evidence(x * factor + offset).evidence
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=5e-3)


def test_two_calls_give_the_same() -> None:
    x = _spikes("walk", 3000, 5)[0]
    assert torch.equal(_evidence(x).evidence, _evidence(x).evidence)  # type: ignore[arg-type]


def test_blocks_change_nothing() -> None:
    x = torch.from_numpy(_spikes("sine", 1500, 3)[0])
    small = dataclasses.replace(CONFIG, block_elements=10_000)
    whole, blocked = retrieval_distances(x, config=CONFIG), retrieval_distances(x, config=small)
    torch.testing.assert_close(whole.evidence, blocked.evidence, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 40, 63, 257])
@pytest.mark.parametrize("n_variables", [1, 3])
def test_every_length_has_finite_evidence(length: int, n_variables: int) -> None:
    x = np.random.default_rng(length).standard_normal((length, n_variables))
    evidence = _evidence(x).evidence
    assert evidence is not None
    assert evidence.shape == (length, n_variables)
    assert evidence.isfinite().all()
    assert evidence.any() == (length >= 16)


def test_a_constant_variable_has_none_and_changes_nothing() -> None:
    x = _spikes("noise", 600, 2)[0]
    wide = np.column_stack([x, np.full(600, 3.0)])
    few, many = _evidence(x).evidence, _evidence(wide).evidence
    assert few is not None
    assert many is not None
    assert torch.equal(many[:, :1], few)
    assert not many[:, 1].any()


def test_a_filled_value_is_no_point() -> None:
    x, at = _spikes("noise", 1000, 3)
    valid = torch.ones(1000, 1, dtype=torch.bool)
    valid[at[0]] = False
    seen, masked = _evidence(x).evidence, _evidence(x, valid=valid).evidence
    assert seen is not None
    assert masked is not None
    assert masked[at[0], 0] < seen[at[0], 0] - 1
    assert masked.isfinite().all()


def test_what_is_common_in_the_reference_is_no_point() -> None:
    x, at = _spikes("noise", 400, 1)
    earlier = torch.from_numpy(_spikes("noise", 4000, 80, seed=1)[0])
    alone, taught = _evidence(x).evidence, _evidence(x, reference=earlier).evidence
    assert alone is not None
    assert taught is not None
    assert taught[at[0], 0] < alone[at[0], 0] - 1


def test_without_it_the_score_is_the_novelty() -> None:
    features = retrieval_distances(torch.from_numpy(_spikes("noise", 300, 1)[0]))
    assert features.evidence is None
    assert torch.equal(retrieval_score(features), features.joint[:, 0])
    assert not RetrievalConfig().has_evidence


def test_a_low_temperature_leaves_the_strongest_channel_and_a_high_one_their_mean() -> None:
    z = torch.tensor([0.5, 1.0, 6.0])
    found = [torch.sinh(novelty(z, t)).item() for t in (1e-3, 1.0, 3.0, 1e4)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(6, abs=0.01)
    assert found[-1] == pytest.approx(2.5, abs=0.01)


def test_smoothing_averages_windows_over_the_steps_there_are() -> None:
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(400).cumsum())
    sharp, smooth = (
        retrieval_distances(x, config=dataclasses.replace(PLAIN, point_gain=0.0, smoothing=n)).evidence
        for n in (1, 9)
    )
    assert sharp is not None
    assert smooth is not None
    for step in (0, 2, 200, 399):
        around = sharp[max(0, step - 4) : step + 5, 0]
        assert smooth[step, 0].item() == pytest.approx(around.mean().item(), abs=1e-5)


def test_smoothing_leaves_points_sharp() -> None:
    x, at = _spikes("noise", 1000, 5)
    config = dataclasses.replace(PLAIN, smoothing=101)
    assert _peaks_are_exact(
        retrieval_score(retrieval_distances(torch.from_numpy(x), config=config)).numpy(), at
    )


def test_equal_variables_score_as_one() -> None:
    x = _spikes("sine", 900, 2)[0]
    one, three = retrieval_score(_evidence(x)), retrieval_score(_evidence(np.column_stack([x] * 3)))
    torch.testing.assert_close(one, three, rtol=1e-3, atol=1e-3)


def test_a_spike_counts_more_the_more_variables_have_it() -> None:
    at = 300
    quiet = np.random.default_rng(0).standard_normal((600, 4))
    found = []
    for count in (1, 4):
        x = quiet.copy()
        x[at, :count] += 10
        standard, _ = standardise([torch.from_numpy(x.T)])
        found.append(point_evidence(standard, None, torch.zeros(4, 600))[0, at].item())
    assert found[1] > 1.5 * found[0] > 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"statistics": (3,)}, "statistics needs lengths"), ({"point_gain": -1.0}, "point_gain needs"),
     ({"point_gain": math.nan}, "point_gain must be a finite number"),
     ({"temperature": 0.0}, "temperature needs to be positive"), ({"smoothing": 0}, "smoothing needs"),
     ({"smoothing": 4}, "smoothing needs to be an odd number of steps, got 4")],
)  # fmt: skip
def test_bad_fields_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RetrievalConfig(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [2, 3, 16, 100, 300])
def test_sliding_statistics_are_those_of_each_window(window: int) -> None:
    x = torch.from_numpy(np.random.default_rng(3).standard_t(3, size=(2, 300))).float()
    x[:, 100:150] = 5.0
    windows = x.unfold(1, window, 1)
    parts = (
        windows.std(2, correction=0),
        windows.amax(2) - windows.amin(2),
        windows.diff(dim=2).abs().mean(2),
    )
    direct = torch.stack(parts, -1)
    found = _statistics(x, window)
    torch.testing.assert_close(found, (direct + 0.05).log(), atol=1e-5, rtol=0)
