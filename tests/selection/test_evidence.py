"""Ranks and expected advantages follow from the evidence, and the default wins where it is weak."""

from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.selection.evidence import aggregate_ranks, agreement, expected_advantage

RNG = np.random.default_rng(0)


class TestAgreement:
    def test_bounds_and_symmetry(self):
        one = RNG.random(200)
        np.testing.assert_allclose(agreement(np.stack([one, one])), [1, 1])
        np.testing.assert_allclose(agreement(np.stack([one, np.exp(5 * one)])), [1, 1])
        low, high = agreement(np.stack([one, -one]))
        assert low == pytest.approx(high)
        assert -1 <= low < 0

    def test_the_odd_one_out_is_last(self):
        base = RNG.random(500)
        scores = np.stack([base + RNG.normal(size=500) / 10 for _ in range(3)] + [RNG.random(500)])
        assert agreement(scores).argmin() == 3

    def test_the_highest_scores_count_most(self):
        base = np.arange(1000.0)
        top, bottom = base.copy(), base.copy()
        top[900:], bottom[:100] = base[900:][::-1], base[:100][::-1]
        assert agreement(np.stack([base, bottom]))[0] > agreement(np.stack([base, top]))[0] + 0.1

    def test_constant_scores_and_single_candidates(self):
        np.testing.assert_array_equal(agreement(np.zeros((3, 50))), 0)
        np.testing.assert_array_equal(agreement(RNG.random((1, 50))), 0)


UNKNOWN = np.full(3, np.nan)


class TestRanks:
    def test_by_hand(self):
        found = np.array([[0.9, 0.5, 0.1], [0.8, 0.9, 0.2]])
        ranks = aggregate_ranks(found, np.array([0.1, 0.3, 0.2]), np.array([0.5, 0.4, 0.6]))
        by_trials, by_agreement, by_experience = np.array([1.5, 1.5, 3]), [3, 1, 2], [2, 3, 1]
        expected = 0.6 * by_trials + 0.1 * np.array(by_agreement) + 0.3 * np.array(by_experience)
        np.testing.assert_allclose(ranks, expected)

    def test_without_trials_the_others_decide(self):
        none = np.empty((0, 2))
        agreed = np.array([0.1, 0.2])
        np.testing.assert_array_equal(aggregate_ranks(none, agreed, UNKNOWN[:2]).argsort(), [1, 0])
        np.testing.assert_array_equal(aggregate_ranks(none, agreed, np.array([0.6, 0.5])).argsort(), [0, 1])

    def test_one_odd_trial_does_not_turn_the_order(self):
        found = np.tile([0.6, 0.5], (8, 1))
        found[0] = [0.0, 1.0]
        ranks = aggregate_ranks(found, np.zeros(2), UNKNOWN[:2])
        assert ranks[0] < ranks[1]

    def test_ties(self):
        assert len(set(aggregate_ranks(np.full((4, 3), 0.5), np.zeros(3), UNKNOWN))) == 1

    def test_who_is_not_known_is_neither_preferred_nor_held_back(self):
        experience = np.array([0.9, np.nan, 0.1])
        ranks = aggregate_ranks(np.empty((0, 3)), np.zeros(3), experience)
        assert ranks[0] < ranks[1] < ranks[2]
        one = aggregate_ranks(np.full((4, 3), 0.5), np.zeros(3), np.array([0.1, np.nan, np.nan]))
        assert len(set(one)) == 1

    def test_trials_outweigh_experience(self):
        ranks = aggregate_ranks(np.tile([0.5, 0.6], (8, 1)), np.zeros(2), np.array([0.9, 0.1]))
        assert ranks[1] < ranks[0]


class TestAdvantage:
    def test_default_has_none_and_equals_lose_to_it(self):
        expected = expected_advantage(np.full((12, 3), 0.5), np.zeros(3), UNKNOWN, default=1)
        assert expected[1] == 0
        assert (expected[[0, 2]] < 0).all()

    def test_strong_evidence_overcomes_the_pull(self):
        assert expected_advantage(np.tile([0.2, 0.8], (12, 1)), np.zeros(2), UNKNOWN[:2], default=0)[1] > 0

    def test_few_trials_count_less(self):
        few, many = (
            expected_advantage(np.tile([0.2, 0.8], (n, 1)), np.zeros(2), UNKNOWN[:2], default=0)[1]
            for n in (1, 100)
        )
        assert few < 0 < many < 0.6

    def test_agreement_counts(self):
        found = np.tile([0.5, 0.6], (8, 1))
        odd, central = (
            expected_advantage(found, np.array([0.3, agreed]), UNKNOWN[:2], default=0)[1]
            for agreed in (0.0, 0.6)
        )
        assert odd < central

    def test_nobody_beats_the_default_without_a_trial(self):
        none = np.empty((0, 3))
        assert (expected_advantage(none, np.array([0, 1, 1.0]), UNKNOWN, default=0)[1:] < 0).all()

    def test_experience_pulls_to_the_default_and_never_away_from_it(self):
        found = np.tile([0.2, 0.6], (8, 1))

        def advantage(*experience):
            return expected_advantage(found, np.zeros(2), np.array(experience), default=0)[1]

        assert advantage(0.5, np.nan) == advantage(np.nan, 0.5) == advantage(0.3, 0.6) > 0
        assert advantage(0.6, 0.3) == pytest.approx(advantage(0.5, 0.5) - 0.2)
        assert advantage(0.6, 0.3) < 0
