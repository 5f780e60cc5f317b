"""The retrieval expert against a plain float64 reference, and its behaviour on hard input."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vetime_plugins.errors import InputError
from vetime_plugins.retrieval import RetrievalConfig, RetrievalFeatures, retrieval_distances, retrieval_score
from vetime_plugins.retrieval.evidence import usual_period
from vetime_plugins.retrieval.features import standardise
from vetime_plugins.retrieval.neighbours import scale_distances


def _series(length: int, n_variables: int = 1, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    t = np.arange(length)[:, None]
    phase = rng.uniform(0, 6, n_variables)
    return torch.from_numpy(np.sin(t / 9 + phase) + 0.1 * rng.standard_normal((length, n_variables)))


def _plain(x: NDArray[np.float64], window: int, config: RetrievalConfig) -> NDArray[np.float64]:
    """Distances (2, C + 1, T), one window at a time, every window a query and in the bank."""
    length, n_variables = x.shape
    x = (x - x.mean(0)) / x.std(0)
    n = length - window + 1
    level = np.stack([x[i : i + window].T for i in range(n)])  # (n, C, w)
    centred = level - level.mean(-1, keepdims=True)
    softening = config.softness**2 * (centred**2).mean((0, 2))
    form = centred / np.sqrt((centred**2).mean(-1) + softening)[..., None]
    zone = round(config.exclusion * window)
    out = np.zeros((2, n_variables + 1, length))
    for view, windows in enumerate((level, form)):
        for row in range(n_variables + 1):
            variables = slice(None) if row == n_variables else slice(row, row + 1)
            scores = np.zeros(n)
            for i in range(n):
                distances = np.sqrt(((windows[:, variables] - windows[i, variables]) ** 2).mean((1, 2)))
                others = distances[np.abs(np.arange(n) - i) >= zone]
                scores[i] = np.sort(others)[: config.neighbours].mean()
            for t in range(length):
                out[view, row, t] = scores[max(0, t - window + 1) : min(t, n - 1) + 1].mean()
    return out


@pytest.mark.parametrize("n_variables", [1, 3])
@pytest.mark.parametrize("window", [7, 16])
def test_distances_equal_the_plain_reference(n_variables: int, window: int) -> None:
    # One neighbour: the nearest of each place is then the nearest of all.
    config = RetrievalConfig(neighbours=1, query_overlap=window)
    x = _series(150, n_variables)
    standard, _ = standardise([x.T])
    got = scale_distances(standard, None, window, config).windows.numpy()
    np.testing.assert_allclose(got, _plain(x.numpy(), window, config), rtol=2e-3, atol=1e-3)


def test_points_are_residuals_to_the_neighbours() -> None:
    # A period repeated exactly, but for one point: only that point differs from its counterparts.
    x = torch.sin(torch.arange(400) * (2 * math.pi / 25)).double()[:, None]
    x[203] += 0.5
    standard, _ = standardise([x.T])
    points = scale_distances(standard, None, 16, RetrievalConfig()).points
    assert points[0, 0].argmax() == 203
    assert points[0, 0, 203].item() == pytest.approx(0.5 / x.std(correction=0).item(), rel=0.05)
    assert points[0, 0, 150] < 0.01


def test_trivial_matches_do_not_count() -> None:
    # A smooth bump that never recurs: windows shifted by one or two steps resemble it, nothing else does.
    x = 0.01 * torch.randn(600, 1, generator=torch.Generator().manual_seed(0)).double()
    x[300:340, 0] += torch.hann_window(40).double()
    standard, _ = standardise([x.T])
    half, itself = (RetrievalConfig(neighbours=1, query_overlap=40, exclusion=zone) for zone in (0.5, 1e-9))
    excluded = scale_distances(standard, None, 40, half).windows[0, 0, 320]
    counted = scale_distances(standard, None, 40, itself).windows[0, 0, 320]
    assert excluded > 3 * counted


@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (3.0, 1e6), (-1e12, 5.0), (1e300, 0.0)])
def test_scale_and_offset_change_nothing(factor: float, offset: float) -> None:
    x = _series(700, 2)
    expected = retrieval_distances(x)
    got = retrieval_distances(x * factor + offset)
    torch.testing.assert_close(got.variables, expected.variables, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(got.joint, expected.joint, rtol=1e-3, atol=2e-3)


def test_one_variable_is_its_own_joint() -> None:
    features = retrieval_distances(_series(800))
    names, joint_names = RetrievalConfig().feature_names, RetrievalConfig().joint_names
    own = features.variables[:, 0, [names.index(name) for name in joint_names]]
    torch.testing.assert_close(own, features.joint, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 40, 63, 64, 257, 500])
@pytest.mark.parametrize("n_variables", [1, 3])
def test_any_length_gives_finite_features(length: int, n_variables: int) -> None:
    config = RetrievalConfig()
    features = retrieval_distances(_series(length, n_variables), config=config)
    assert features.variables.shape == (length, n_variables, config.n_features)
    assert features.joint.shape == (length, config.n_joint)
    assert features.variables.dtype == features.joint.dtype == torch.float32
    assert features.variables.isfinite().all()
    assert features.joint.isfinite().all()
    assert retrieval_score(features).shape == (length,)
    assert (features.variables.abs().sum() > 0) == (length >= 16)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e300, 1e-300])
def test_constant_series_have_nothing_novel(value: float) -> None:
    features = retrieval_distances(torch.full((300, 2), value, dtype=torch.float64))
    assert not features.variables.any()
    assert not features.joint.any()


def test_constant_variables_change_nothing() -> None:
    x = _series(600, 4)
    wide = torch.ones(600, 55, dtype=torch.float64)
    wide[:, [3, 10, 30, 54]] = x
    few, many = retrieval_distances(x), retrieval_distances(wide)
    assert torch.equal(many.variables[:, [3, 10, 30, 54]], few.variables)
    assert torch.equal(many.joint, few.joint)
    assert not many.variables[:, :3].any()
    assert torch.equal(retrieval_score(many), retrieval_score(few))


def test_rounding_noise_on_a_constant_is_constant() -> None:
    x = 1e6 + 1e-9 * torch.randn(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert not retrieval_distances(x).variables.any()


@pytest.mark.parametrize("glitch", [1e6, 1e12, 1e300])
def test_a_glitch_does_not_hide_the_rest(glitch: float) -> None:
    x = _series(2000)
    x[500] = glitch
    x[1500:1520] = x[1500]
    score = retrieval_score(retrieval_distances(x))
    assert score.argmax().item() in range(485, 516)
    far = torch.ones(2000, dtype=torch.bool)
    far[500 - 400 : 500 + 400] = False
    assert score.where(far, -10.0).argmax().item() in range(1480, 1540)


def test_a_flat_series_with_one_event() -> None:
    x = torch.zeros(1000, 1)
    x[400:405] = 1.0
    score = retrieval_score(retrieval_distances(x))
    assert score.argmax().item() in range(380, 425)
    assert score.isfinite().all()


def test_a_recurring_event_is_not_novel() -> None:
    x = torch.zeros(3000, 1)
    for start in range(100, 3000, 300):
        x[start : start + 10] = 1.0
    x[1550:1560] = -1.0
    score = retrieval_score(retrieval_distances(x))
    assert score[1550:1560].mean() > score[1300:1310].mean() + 1


@pytest.mark.parametrize("kind", ["flip", "stuck", "missing"])
def test_anomalies_rank_first(kind: str) -> None:
    x = _series(4000)
    part = slice(2500, 2560)
    x[part] = {"flip": -x[part], "stuck": x[2500].expand(60, 1), "missing": torch.zeros(60, 1).double()}[kind]
    assert 2500 - 16 <= retrieval_score(retrieval_distances(x)).argmax().item() < 2560 + 16


def test_joint_distances_see_a_broken_relation() -> None:
    # Two variables that share a wandering phase: each alone stays usual when they part, together they do not.
    rng = np.random.default_rng(1)
    phase = np.cumsum(0.25 + 0.1 * rng.standard_normal(3000))
    x = np.stack([np.sin(phase), np.sin(phase + 0.7)], axis=1)
    x[2000:2100, 1] = np.sin(phase[500:600] + 0.7)
    features = retrieval_distances(torch.from_numpy(x))
    assert 1980 <= features.joint[:, 0].argmax().item() < 2120
    broken = features.joint[2000:2100, 0].mean() - features.joint[:, 0].mean()
    alone = features.variables[2000:2100, :, 0].mean((0, 1)) - features.variables[..., 0].mean()
    assert broken > 2 * alone


@pytest.mark.parametrize("n_variables", [1, 3])
def test_blocks_change_nothing(n_variables: int) -> None:
    x = _series(900, n_variables)
    whole = retrieval_distances(x)
    blocked = retrieval_distances(x, config=RetrievalConfig(block_elements=10_000))
    torch.testing.assert_close(blocked.variables, whole.variables, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(blocked.joint, whole.joint, rtol=1e-4, atol=1e-3)


def test_two_runs_agree() -> None:
    x = _series(1500, 2)
    first, second = retrieval_distances(x), retrieval_distances(x)
    assert torch.equal(first.variables, second.variables)
    assert torch.equal(first.joint, second.joint)


def test_the_input_is_left_alone() -> None:
    x = _series(300)
    before = x.clone()
    retrieval_distances(x, reference=x + 1)
    assert torch.equal(x, before)


@pytest.mark.parametrize("drift", [3.0, 30.0])
def test_a_series_that_drifted_from_its_reference_is_not_novel_as_a_whole(drift: float) -> None:
    reference, x = _series(4000, seed=1), _series(1000)
    x[500:520] += 2
    alone = retrieval_score(retrieval_distances(x))
    drifted = retrieval_score(retrieval_distances(x + drift, reference=reference))
    normal = torch.cat([drifted[:400], drifted[620:]])
    assert normal.median() < alone.median() + 0.3
    assert drifted[500:520].max() > normal.quantile(0.99) + 1


def test_a_reference_teaches_what_is_normal() -> None:
    # The event is alone in the series, but usual in the reference.
    reference = _series(4000, seed=1)
    for start in range(200, 4000, 400):
        reference[start : start + 30] = 1.5
    x = _series(1000)
    x[500:530] = 1.5
    alone = retrieval_score(retrieval_distances(x))
    taught = retrieval_score(retrieval_distances(x, reference=reference))
    assert alone.argmax().item() in range(480, 550)
    assert taught[500:530].mean() < alone[500:530].mean() - 0.5


def test_a_reference_makes_short_series_comparable() -> None:
    reference = _series(3000, seed=1)
    x = _series(40)
    x[20:25] += 2
    score = retrieval_score(retrieval_distances(x, reference=reference))
    normal = retrieval_score(retrieval_distances(_series(40), reference=reference))
    assert score.max() > 2
    assert normal.max() < 0.5


@pytest.mark.parametrize("length", [1, 5, 100])
def test_a_reference_shorter_than_the_windows_is_harmless(length: int) -> None:
    features = retrieval_distances(_series(1500), reference=_series(length, seed=1))
    assert features.variables.isfinite().all()
    assert features.variables.any()


def test_features_can_take_part_in_training() -> None:
    features = retrieval_distances(_series(200).requires_grad_())
    weight = torch.ones(features.variables.shape[2], requires_grad=True)
    (features.variables @ weight).sum().backward()
    assert weight.grad is not None
    assert not features.variables.requires_grad


def test_filled_values_are_neither_novel_nor_memory() -> None:
    x = _series(2000)
    x[1000:1100] = x[1000]
    valid = torch.ones(2000, 1, dtype=torch.bool)
    valid[1000:1100] = False
    seen = retrieval_score(retrieval_distances(x))
    masked = retrieval_score(retrieval_distances(x, valid=valid))
    assert seen[1040:1060].mean() > 1
    assert masked[1040:1060].mean() < 0.5
    assert torch.equal(
        retrieval_distances(x, valid=torch.ones_like(valid)).joint, retrieval_distances(x).joint
    )
    assert retrieval_distances(x, valid=torch.zeros_like(valid)).joint.isfinite().all()


def test_the_period_is_the_highest_peak() -> None:
    t = torch.arange(3000)
    wave = torch.sin(2 * math.pi * t / 37)[:, None]
    assert usual_period(standardise([wave.T])[0]) == 37
    assert usual_period(standardise([t[None]])[0]) == 125
    assert "37" not in RetrievalConfig().scale_names


def test_a_given_period_is_used() -> None:
    x = _series(2000)
    config = RetrievalConfig(windows=(16,))
    given = retrieval_distances(x, period=90, config=config)
    found = retrieval_distances(x, config=config)
    assert torch.equal(given.joint[:, 1:3], found.joint[:, 1:3])
    assert not torch.equal(given.joint[:, 3:], found.joint[:, 3:])


def test_names_match_channels() -> None:
    config = RetrievalConfig(windows=[8, 32])  # type: ignore[arg-type]  # as JSON gives it
    assert config.windows == (8, 32)
    features = retrieval_distances(_series(400, 2), config=config)
    assert features.variables.shape[2] == config.n_features == len(config.feature_names) == 13
    assert features.joint.shape[1] == config.n_joint == len(config.joint_names) == 7
    assert config.feature_names[:2] == ("novelty", "level@8")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"windows": (2,)}, "windows"),
        ({"neighbours": 0}, "neighbours"),
        ({"bank_size": 0}, "bank_size"),
        ({"query_overlap": 0}, "query_overlap"),
        ({"exclusion": 0.0}, "exclusion"),
        ({"softness": 0.0}, "softness"),
    ],
)
def test_bad_configurations_say_what_is_wrong(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RetrievalConfig(**keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(3, 2, 2)}, "series"),
        ({"x": torch.zeros(0, 2)}, "series"),
        ({"x": torch.tensor([1.0, math.nan])}, "finite"),
        ({"x": torch.zeros(50, 2), "reference": torch.zeros(50, 3)}, "variables"),
        ({"x": torch.zeros(50, 2), "valid": torch.ones(49, 2, dtype=torch.bool)}, "valid"),
    ],
)
def test_bad_input_says_what_is_wrong(arguments: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        retrieval_distances(**arguments)  # type: ignore[arg-type]


def test_the_bank_is_bounded_and_covers_every_phase() -> None:
    # With a constant stride of 40 the bank would hold one phase of this period of 40 only.
    x = torch.sin(2 * math.pi * torch.arange(20_000) / 40)[:, None] + 0.01 * torch.randn(
        20_000, 1, generator=torch.Generator().manual_seed(0)
    )
    standard, _ = standardise([x.T])
    sparse = scale_distances(standard, None, 40, RetrievalConfig(bank_size=500)).windows[0, 0]
    assert sparse.max() < 0.1


def test_time_grows_linearly() -> None:
    def seconds(length: int) -> float:
        x = _series(length)
        start = time.process_time()
        retrieval_distances(x)
        return time.process_time() - start

    seconds(2000)
    assert seconds(40_000) < 8 * seconds(10_000)


def test_memory_does_not_hold_all_distances() -> None:
    # 15,000 queries by 4,000 windows in two views would be 480 MB at the smallest scale.
    config = RetrievalConfig()
    x = _series(60_000)
    largest = 0

    class _Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple) else (out,):
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.untyped_storage().nbytes())
            return out

    with _Largest():
        features = retrieval_distances(x, config=config)
    assert isinstance(features, RetrievalFeatures)
    assert largest < 60_000 * config.n_features * 8
