"""Statistics over metrics: means over data sets, the bootstrap, ranks, wins and tests."""

import math

import numpy as np
import pytest
from scipy import stats

from vetime_plugins.errors import InputError
from vetime_plugins.metrics.statistics import compare_all, count_wins, group_means, paired_bootstrap

pytest.importorskip("statsmodels", reason="comparing detectors needs the extra report")

NAN = math.nan


class TestGroupMeans:
    def test_data_sets_count_alike(self):
        means, mean = group_means([0.2] * 9 + [0.8], ["A"] * 9 + ["B"])
        assert means == {"A": pytest.approx(0.2), "B": 0.8}
        assert mean == pytest.approx(0.5)

    def test_a_data_set_without_a_defined_value_is_nan_and_left_out_of_the_mean(self):
        means, mean = group_means([0.4, NAN, NAN], ["A", "A", "B"])
        assert (means["A"], mean) == (0.4, 0.4)
        assert math.isnan(means["B"])
        assert math.isnan(group_means([NAN], ["A"])[1])


class TestPairedBootstrap:
    def test_a_constant_advantage_has_no_spread(self):
        values = np.random.default_rng(0).random(30) * 0.5
        groups = ["AB"[i % 2] for i in range(30)]
        found = paired_bootstrap(values + 0.1, values, groups)
        assert (found.difference, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
        assert (found.n_series, found.n_datasets) == (30, 2)
        assert paired_bootstrap(values, values + 0.1, groups).difference == pytest.approx(-0.1)

    def test_the_interval_is_that_of_the_mean_over_data_sets(self):
        rng = np.random.default_rng(1)
        gains = {name: rng.normal(0.05, 0.2, size) for name, size in (("A", 40), ("B", 90))}
        groups = [name for name, values in gains.items() for _ in values]
        a, b = 0.5 + np.concatenate(list(gains.values())), np.full(130, 0.5)
        found = paired_bootstrap(a, b, groups, n_resamples=20_000)
        error = math.sqrt(sum(values.var() / values.size for values in gains.values())) / 2
        assert found.difference == pytest.approx(np.mean([values.mean() for values in gains.values()]))
        assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.1 * error)
        assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.1 * error)
        narrow = paired_bootstrap(a, b, groups, level=0.5)
        assert found.low < narrow.low < narrow.high < found.high

    def test_the_same_seed_gives_the_same_interval(self):
        a, b = np.random.default_rng(2).random((2, 20))
        assert paired_bootstrap(a, b, ["A"] * 20) == paired_bootstrap(a, b, ["A"] * 20)
        assert paired_bootstrap(a, b, ["A"] * 20, seed=1) != paired_bootstrap(a, b, ["A"] * 20)

    def test_a_series_without_both_values_does_not_count(self):
        found = paired_bootstrap([0.6, 0.5, NAN, 0.1], [0.5, 0.5, NAN, NAN], ["A", "A", "A", "B"])
        assert found.difference == pytest.approx(0.05)
        assert (found.n_series, found.n_datasets) == (2, 1)

    def test_an_interval_needs_a_data_set_of_two_series(self):
        assert paired_bootstrap([0.5, 0.6], [0.1, 0.1], ["A", "A"]).has_interval
        assert not paired_bootstrap([0.5, 0.6], [0.1, 0.1], ["A", "B"]).has_interval

    def test_what_cannot_be_compared_is_refused(self):
        with pytest.raises(InputError, match="nothing to compare"):
            paired_bootstrap([NAN], [0.5], ["A"])
        with pytest.raises(InputError, match="level"):
            paired_bootstrap([0.5], [0.5], ["A"], level=95)
        with pytest.raises(InputError, match="level"):
            paired_bootstrap([0.5], [0.5], ["A"], level=1)


class TestComparison:
    def test_ranks_and_friedman_are_those_of_scipy(self):
        values = np.random.default_rng(0).random((30, 4)) + np.array([0, 0, 0.1, 0.4])
        found = compare_all(values)
        assert found.ranks == pytest.approx(stats.rankdata(-values, axis=1).mean(axis=0))
        assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*values.T).pvalue)

    def test_pairs_are_tested_by_wilcoxon_with_holms_correction(self):
        rng = np.random.default_rng(1)
        values = rng.random((40, 3)) + np.array([0, 0.02, 0.5])
        found = compare_all(values)
        raw = [stats.wilcoxon(values[:, i], values[:, j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
        smallest, middle, largest = sorted(raw)
        expected = {smallest: 3 * smallest, middle: max(3 * smallest, 2 * middle)}
        expected[largest] = max(expected[middle], largest)
        assert found.p_values[0, 1] == pytest.approx(min(expected[raw[0]], 1))
        assert found.p_values[2, 0] == pytest.approx(expected[raw[1]])
        assert (found.p_values == found.p_values.T).all()
        assert found.cliques == [(1, 0)] or found.cliques == [(0, 1)]

    def test_a_bar_lies_over_nothing_that_can_be_told_apart(self):
        values = np.random.default_rng(5).random((20, 6)) + np.linspace(0, 0.6, 6)
        found = compare_all(values)
        place = {detector: at for at, detector in enumerate(np.argsort(found.ranks, kind="stable"))}
        assert found.cliques
        for clique in found.cliques:
            assert [place[i] for i in clique] == list(range(place[clique[0]], place[clique[-1]] + 1))
            assert all(found.p_values[i, j] > found.level for i in clique for j in clique)

    def test_equal_detectors_are_one_clique(self):
        found = compare_all(np.full((10, 4), 0.3))
        assert found.cliques == [(0, 1, 2, 3)]
        assert math.isnan(found.friedman_p)
        assert found.ranks.tolist() == [2.5] * 4

    def test_cliques_overlap_and_none_lies_within_another(self):
        base = np.random.default_rng(2).normal(size=(25, 1))
        values = base + [0.0, 0.02, 0.04, 5.0] + 0.05 * np.random.default_rng(3).normal(size=(25, 4))
        found = compare_all(values)
        assert all(not set(a) < set(b) for a in found.cliques for b in found.cliques)
        assert all(3 not in clique for clique in found.cliques)

    @pytest.mark.parametrize("shape", [(0, 3), (5, 1), (1, 1), (1, 3)])
    def test_small_tables(self, shape):
        found = compare_all(np.random.default_rng(0).random(shape))
        assert math.isnan(found.friedman_p)
        assert found.n_series == shape[0]
        assert len(found.ranks) == shape[1]

    def test_wins_and_ties(self):
        wins = count_wins(np.array([[0.9, 0.5], [0.4, 0.4], [0.1, 0.2], [0.8, 0.3]]))
        assert wins.wins.tolist() == [[0, 2], [1, 0]]
        assert wins.ties[0, 1] == 1
        assert wins.share[0, 1] == pytest.approx(2.5 / 4)
        assert wins.share[0, 1] + wins.share[1, 0] == pytest.approx(1)
