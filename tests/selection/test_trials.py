"""Series are described as they are; trials are the series plus known anomalies, judged fairly."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d

from tests.selection._fakes import wave
from vetime_plugins.selection.profile import GROUPS, describe
from vetime_plugins.selection.trials import find_suspects, iterate_trials, margin_for, measure
from vetime_plugins.series.inputs import as_series
from vetime_plugins.synthesis import list_kinds
from vetime_plugins.synthesis.anomalies import KINDS

NOTHING = np.zeros(1200, dtype=bool)


def profile(values):
    return describe(as_series(values))


def trials(values, n, suspects=None, seed=0):
    values = values.reshape(len(values), -1)
    suspects = np.zeros(len(values), dtype=bool) if suspects is None else suspects
    return list(islice(iterate_trials(values, profile(values), suspects, margin_for(40), seed), n))


class TestProfile:
    def test_kinds_exist_and_last_not(self):
        names = [name for kinds in GROUPS.values() for name in kinds]
        assert len(names) == len(set(names))
        assert set(names) == {name for name in list_kinds() if not KINDS[name].lasting}

    def test_cycles(self):
        found = profile(wave())
        assert found.period == pytest.approx(40, abs=1)
        assert found.groups["timing"] == found.groups["shape"] == 2
        assert found.groups["points"] == 1

    def test_noise_has_neither_cycles_nor_spikes(self):
        found = profile(np.random.default_rng(0).normal(size=2000))
        assert found.period is None
        assert not found.spiky
        assert "timing" not in found.groups

    def test_spikes(self):
        rng = np.random.default_rng(0)
        values = rng.normal(size=2000)
        values[rng.choice(2000, 20)] += 30
        assert profile(values).spiky
        assert profile(values).groups["points"] == 2

    def test_related_variables(self):
        rng = np.random.default_rng(0)
        one, other = wave(), rng.normal(size=1200)
        assert profile(np.c_[one, one + other / 9]).groups["relations"] == 2
        assert "relations" not in profile(np.c_[rng.normal(size=1200), other]).groups
        assert "relations" not in profile(one).groups

    @pytest.mark.parametrize("values", [np.ones(100), np.zeros((50, 3)), np.arange(3.0), np.array([1.0])])
    def test_degenerate_series(self, values):
        assert not profile(values).spiky
        assert not profile(values).related

    def test_unit_does_not_matter(self):
        assert profile(1e200 * wave()) == profile(wave()) == profile(1e-200 * wave())


class TestTrials:
    def test_every_group_comes_before_any_comes_again(self):
        groups = [trial.group for trial in trials(wave(), 7)]
        assert sorted(groups[:5]) == ["level", "points", "shape", "texture", "timing"]
        assert sorted(groups[5:]) == ["shape", "timing"]

    def test_values_differ_from_the_series_where_the_labels_say(self):
        values = wave()[:, None]
        for trial in trials(values, 7):
            changed = (trial.values != values).any(axis=1)
            assert trial.labels.any()
            assert not (changed & (trial.labels == 0)).any()
            assert trial.kinds
            assert set(trial.kinds) <= set(GROUPS[trial.group])

    def test_no_anomaly_comes_near_what_is_suspect(self):
        values, suspects = wave()[:, None], NOTHING.copy()
        suspects[300:340] = suspects[900:960] = True
        for trial in trials(values, 10, suspects):
            np.testing.assert_array_equal(trial.values[290:350], values[290:350])
            assert not trial.labels[890:970].any()
            np.testing.assert_array_equal(trial.judged, ~suspects)

    def test_seed_decides(self):
        one, same, other = (trials(wave(), 3, seed=seed) for seed in (1, 1, 2))
        for a, b in zip(one, same, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
        assert any(not np.array_equal(a.values, b.values) for a, b in zip(one, other, strict=True))

    def test_gaps_stay(self):
        values = wave()
        values[100:110] = np.nan
        for trial in trials(values, 3):
            np.testing.assert_array_equal(np.isnan(trial.values[:, 0]), np.isnan(values))

    def test_variables_that_go_together_get_broken_relations(self):
        one = wave()
        found = trials(np.c_[one, one + wave(seed=1) / 5, one[::-1]], 8)
        assert "relations" in [trial.group for trial in found]

    @pytest.mark.parametrize("n", [1, 7, 40])
    def test_none_in_a_series_too_short(self, n):
        assert trials(wave(n), 3) == []

    def test_ends_where_nothing_can_be_seen(self):
        everywhere = np.ones(1200, dtype=bool)
        assert trials(wave(), 3, everywhere) == []


class TestSuspects:
    def test_what_the_candidates_agree_on(self):
        rng = np.random.default_rng(0)
        scores = [rng.random(1000) for _ in range(5)]
        for one in scores[:4]:
            one[500:510] += 2
        found = find_suspects(scores, margin=3)
        assert found[497:513].all()
        assert found.sum() <= 50

    def test_what_one_alone_finds_is_not_excused(self):
        rng = np.random.default_rng(0)
        scores = [rng.random(1000) for _ in range(5)]
        scores[0][500:510] += 2
        assert not find_suspects(scores, margin=0)[500:510].any()
        assert not find_suspects(scores[:1], margin=0).any()

    @pytest.mark.parametrize("margin", [0, 3, 20])
    def test_they_stay_few(self, margin):
        one = np.random.default_rng(0).random(1000)
        found = find_suspects([one, one, one], margin=margin)
        assert 0.03 < found.mean() <= 0.05
        assert found[one.argmax()]

    def test_the_most_agreed_is_left_out_even_in_a_short_series(self):
        one = np.random.default_rng(0).random(100)
        found = find_suspects([one, one, one], margin=10)
        assert found[one.argmax()]
        assert found.sum() <= 21

    def test_constant_scores_agree_on_nothing(self):
        assert not find_suspects([np.zeros(100)] * 3, margin=2).any()

    def test_they_cost_nothing(self):
        """Who finds the injected anomaly and the series' own one is not punished for the latter."""
        values, suspects = wave()[:, None], NOTHING.copy()
        suspects[300:340] = True
        trial = trials(values, 1, suspects)[0]
        perfect = trial.labels.astype(float)
        both = perfect + suspects
        assert measure(trial, both, 40) == measure(trial, perfect, 40)
        assert measure(trial, perfect, 40).mean > 0.9
        elsewhere = perfect + np.roll(suspects, 200)
        assert measure(trial, elsewhere, 40).mean < measure(trial, perfect, 40).mean

    def test_a_smeared_score_is_forgiven_by_one_metric_only(self):
        trial = trials(wave(), 1)[0]
        smeared = maximum_filter1d(trial.labels.astype(float), 21)
        found = measure(trial, smeared, 40)
        assert found.ranged > found.pointwise + 0.4
