from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.synthesis import CorpusConfig, generate, inject
from vetime_plugins.synthesis.anomalies import KINDS, Change, Context
from vetime_plugins.synthesis.normal import FAMILIES, draw_normal

PERIOD = 50
SINGLE = [name for name, kind in KINDS.items() if not kind.relational]


def sine(length=1000, noise=0.0):
    steps = np.arange(length)
    return np.sin(2 * np.pi * steps / PERIOD) + noise * np.random.default_rng(0).normal(size=length)


def context(values, rng, signal=None, severity=0.7, period=float(PERIOD)):
    return Context(
        rng=rng,
        severity=severity,
        period=period,
        noise=0.02 * float(np.std(values)),
        scale=max(float(np.std(values)), 1e-3),
        spike=0.1 * float(np.std(values)),
        low=float(values.min()),
        high=float(values.max()),
        signal=values if signal is None else signal,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_works_on_every_family(family):
    for seed, (name, kind) in enumerate(KINDS.items()):
        rng = np.random.default_rng(seed)
        draft = draw_normal(rng, 700, families={family: 1.0})
        values = draft.values.copy()
        before = values.copy()
        for start, n in ((0, 1), (300, 2), (340, 60), (560, 140)):
            for severity in (0.0, 1.0):
                ctx = context(values, rng, draft.signal, severity, draft.period or 40.0)
                outcome = kind.function(values, start, start + n, ctx)
                np.testing.assert_array_equal(values, before, err_msg=f"{name} wrote into its input")
                if outcome is None:
                    continue
                parts = [outcome]
                if isinstance(outcome, Change):
                    assert kind.lasting
                    assert outcome.tail.shape == (700 - start - n,)
                    parts = [outcome.segment, outcome.normal, outcome.tail]
                assert parts[0].shape == (n,), name
                assert all(np.isfinite(part).all() for part in parts), name


@pytest.mark.parametrize("name", SINGLE)
def test_every_kind_finds_a_place_in_the_corpus(name):
    config = CorpusConfig(clean_share=0.0, single_share=1.0, kinds={name: 1.0}, families={"periodic": 1.0})
    found = [generate(1500, seed=seed, config=config).kinds for seed in range(12)]
    assert sum(bool(kinds) for kinds in found) >= 6
    assert {kind for kinds in found for kind, *_ in kinds} == {name}


def changed(name, values=None, **options):
    """The clean and the anomalous stretch of one injected anomaly, and its result."""
    values = sine() if values is None else values
    result = inject(values, name, period=PERIOD, severity=0.7, **options)
    _, start, stop, _ = result.kinds[0]
    return result.clean[start:stop, 0], result.values[start:stop, 0], result


@pytest.mark.parametrize("seed", range(3))
class TestWhatKindsDo:
    def test_spike_leaves_the_range(self, seed):
        _, new, _ = changed("spike", seed=seed)
        assert np.abs(new).max() > 1.05

    def test_local_spike_stands_off_its_neighbours(self, seed):
        old, new, result = changed("local_spike", seed=seed, length=1)
        assert len(old) == 1
        usual = np.abs(np.diff(result.clean[:, 0], 2)).max()
        assert np.abs(new - old)[0] > usual / 2

    def test_spike_group_has_normal_points_between(self, seed):
        old, new, _ = changed("spike_group", seed=seed, length=30)
        assert 1 < np.sum(new != old) < len(new)

    @pytest.mark.parametrize(("name", "sign"), [("dip", -1), ("burst", 1)])
    def test_dip_and_burst_go_one_way_first(self, seed, name, sign):
        old, new, _ = changed(name, seed=seed, length=20)
        gap = sign * (new - old)
        assert gap.max() > 0.5
        assert gap[gap.argmax()] >= -gap.min()

    def test_zero(self, seed):
        _, new, result = changed("zero", sine() + 1.5, seed=seed)
        assert np.unique(new).size == 1
        assert new[0] in (0.0, result.clean.min())

    def test_contextual_values_are_normal_ones(self, seed):
        old, new, result = changed("contextual", sine(noise=0.01), seed=seed, length=15)
        assert np.isin(new, result.clean).all()
        assert np.abs(new - old).max() > 0.3

    def test_noise_is_rough(self, seed):
        old, new, _ = changed("noise", seed=seed, length=80)
        assert np.abs(np.diff(new, 2)).mean() > 3 * np.abs(np.diff(old, 2)).mean()

    def test_level_shift_moves_the_middle_evenly(self, seed):
        old, new, _ = changed("level_shift", seed=seed, length=100)
        middle = (new - old)[40:60]
        assert np.ptp(middle) < 1e-9
        assert abs(middle[0]) > 0.1

    def test_drift_grows(self, seed):
        old, new, _ = changed("drift", seed=seed, length=100)
        gap = np.abs(new - old)
        assert gap[: len(gap) // 10].max() < 0.4 * gap.max()

    def test_recovery_starts_large_and_fades(self, seed):
        old, new, _ = changed("recovery", seed=seed, length=150)
        gap = np.abs(new - old)
        assert gap[:8].max() == gap.max()
        assert gap[-15:].max() < 0.2 * gap.max()

    def test_change_point_lasts_in_both_series(self, seed):
        values = sine()
        _, _, result = changed("change_point", values, seed=seed)
        _, start, stop, _ = result.kinds[0]
        tail = result.clean[stop:, 0] - values[stop:]
        assert np.ptp(tail) < 1e-9
        assert abs(tail[0]) > 0.3
        np.testing.assert_array_equal(result.clean[:start, 0], values[:start])
        np.testing.assert_array_equal(result.values[stop:], result.clean[stop:])

    def test_stuck_is_flat(self, seed):
        _, new, _ = changed("stuck", seed=seed, length=60)
        assert np.ptp(new) < 0.1

    def test_clipping_keeps_a_limit(self, seed):
        old, new, _ = changed("clipping", seed=seed, length=150)
        differs = new != old
        assert np.unique(new[differs]).size <= 2

    def test_variance_changes_the_noise_alone(self, seed):
        old, new, _ = changed("variance", sine(noise=0.1), seed=seed, length=150)
        ratio = np.diff(new, 2).std() / np.diff(old, 2).std()
        assert ratio > 1.5 or ratio < 0.7
        assert abs(new.mean() - old.mean()) < 0.2

    def test_coarse_has_few_values(self, seed):
        old, new, _ = changed("coarse", sine(noise=0.01), seed=seed, length=80)
        assert np.unique(new).size < 0.5 * np.unique(old).size

    def test_amplitude(self, seed):
        old, new, _ = changed("amplitude", seed=seed, length=100)
        assert abs(np.log(np.ptp(new) / np.ptp(old))) > 0.1

    def test_flip(self, seed):
        old, new, _ = changed("flip", seed=seed, length=100)
        assert np.corrcoef(old, new)[0, 1] < -0.5

    def test_reversal_in_the_middle(self, seed):
        values = np.abs((np.arange(1000) % PERIOD) / PERIOD) ** 2  # a saw has a direction
        _, _, result = changed("reversal", values, seed=seed, length=100)
        rises = np.mean(np.diff(result.clean[result.labels == 1, 0]) > 0)
        falls = np.mean(np.diff(result.values[result.labels == 1, 0]) < 0)
        assert rises > 0.9
        assert falls > 0.5

    def test_smoothing_is_smoother(self, seed):
        old, new, _ = changed("smoothing", sine(noise=0.1), seed=seed, length=80)
        assert np.abs(np.diff(new)).sum() < 0.6 * np.abs(np.diff(old)).sum()

    def test_wrong_shape_keeps_level_and_height(self, seed):
        old, new, _ = changed("wrong_shape", seed=seed, length=100)
        assert abs(new.mean() - old.mean()) < 0.5
        assert 0.3 < new.std() / old.std() < 2.5
        assert np.abs(new - old).max() > 0.1

    def test_distortion_is_smooth(self, seed):
        old, new, _ = changed("distortion", seed=seed, length=100)
        gap = new - old
        assert np.abs(np.diff(gap)).max() < 0.7 * np.abs(gap).max()
        assert (
            np.abs(np.diff(gap, 2)).sum()
            < 0.5 * np.abs(np.diff(np.random.default_rng(seed).permutation(gap), 2)).sum()
        )

    def test_partial_loss_is_straighter(self, seed):
        old, new, _ = changed("partial_loss", seed=seed, length=40)
        assert np.abs(np.diff(new, 2)).sum() < np.abs(np.diff(old, 2)).sum()

    def test_ripple_is_a_tone(self, seed):
        old, new, _ = changed("ripple", seed=seed, length=80)
        power = np.abs(np.fft.rfft((new - old) * np.hanning(len(old)))) ** 2
        peak = power.argmax()
        assert peak >= 1
        assert power[max(0, peak - 3) : peak + 4].sum() > 0.7 * power.sum()

    def test_frequency_and_extra_cycle_change_the_number_of_cycles(self, seed):
        for name in ("frequency", "extra_cycle"):
            _, _, result = changed(name, seed=seed, length=200)
            inside = result.labels == 1
            turns = [np.sum(np.diff(np.sign(x[inside, 0])) != 0) for x in (result.clean, result.values)]
            assert turns[0] != turns[1], name
            if name == "extra_cycle":
                assert 1 <= turns[1] - turns[0] <= 3

    def test_phase_shifts(self, seed):
        old, new, _ = changed("phase", seed=seed, length=200)
        middle = slice(60, 140)
        assert np.corrcoef(old[middle], new[middle])[0, 1] < 0.9
        assert np.ptp(new[middle]) == pytest.approx(np.ptp(old[middle]), rel=0.05)

    def test_time_warp_joins_at_both_ends(self, seed):
        _, new, result = changed("time_warp", seed=seed, length=100)
        _, start, stop, _ = result.kinds[0]
        usual = np.abs(np.diff(result.clean[:, 0])).max()
        ends = abs(new[0] - result.clean[start - 1, 0]), abs(new[-1] - result.clean[stop, 0])
        assert max(ends) < 3 * usual

    def test_missing_cycle_rests(self, seed):
        old, new, _ = changed("missing_cycle", seed=seed, length=100)
        assert np.ptp(new[30:70]) < 0.5 * np.ptp(old[30:70])

    def test_swapped_cycle_keeps_the_values(self, seed):
        old, new, _ = changed("swapped_cycle", seed=seed, length=70)
        assert np.abs(np.sort(old) - np.sort(new)).mean() < 0.25

    def test_foreign_cycle_keeps_the_level(self, seed):
        old, new, _ = changed("foreign_cycle", seed=seed, length=75)
        assert abs(old.mean() - new.mean()) < 0.25

    def test_ectopic_is_early_broad_and_followed_by_rest(self, seed):
        old, new, _ = changed("ectopic", seed=seed, length=90)
        assert np.abs(new - old).max() > 0.5

    def test_pause_delays_everything_after_it(self, seed):
        values = sine()
        _, _, result = changed("pause", values, seed=seed, length=60)
        _, start, stop, _ = result.kinds[0]
        rest = slice(stop + 5, 980)
        np.testing.assert_allclose(result.clean[rest, 0], values[rest.start - 60 : rest.stop - 60], atol=1e-9)
        assert np.ptp(result.values[start + 1 : stop, 0]) < 0.1


def test_every_kind_has_a_test_of_what_it_does():
    tested = " ".join(name for name in vars(TestWhatKindsDo) if name.startswith("test_"))
    tested += " burst dip frequency extra_cycle"  # share a test with another kind
    missing = [name for name in SINGLE if name not in tested]
    assert not missing


def test_severity_is_ordered():
    for name in ("spike", "level_shift", "amplitude", "noise", "distortion", "dip"):
        reached = [
            np.mean([inject(sine(noise=0.02), name, severity=s, seed=k).severity.max() for k in range(8)])
            for s in (0.1, 0.9)
        ]
        assert reached[0] < reached[1], name


def test_lengths_fit_the_period():
    rng = np.random.default_rng(0)
    for kind in KINDS.values():
        lengths = [kind.draw_length(rng, 40.0, 4000) for _ in range(200)]
        assert min(lengths) >= 1
        assert max(lengths) <= 240  # six periods
        assert max(kind.draw_length(rng, 40.0, 50) for _ in range(50)) <= 10
        assert kind.summary.endswith(".")
