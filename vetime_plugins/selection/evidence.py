"""From trials, agreement and experience to an order of the candidates, and to the one that is taken.

Two kinds of evidence stand in for labels, as in Goswami, Challu, Callot, Minorics and Kan, "Unsupervised
Model Selection for Time-series Anomaly Detection", ICLR 2023 (arXiv 2210.01078): how well a candidate finds
synthetic anomalies, and how central it is among the candidates. A third is known beforehand: how well it did
on other series (`vetime_plugins.selection.experience`). The order is a Borda count over the three. Where
there is a default, the choice is shrunk to it: `expected_advantage`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["aggregate_ranks", "agreement", "expected_advantage"]

Matrix = NDArray[np.float64]

AGREEMENT_SHARE = 0.1
EXPERIENCE_SHARE = 0.3
"""Weights of the agreement and the experience in the Borda count; the trials share the rest.

Round numbers in the middle of what was best on 51 generated series, the experience of each taken from the
other families, and on the same with no trial of the kinds of anomaly that the series holds."""

# Round numbers from a pilot. The pull towards the default is at least BIAS, or what is known of both where
# that is more: benchmarks/results/selection shows how little the trials tell of detectors of known merit.
BIAS = -0.1
SLOPE_TRIALS = 0.5
SLOPE_AGREEMENT = 0.5
PSEUDO_TRIALS = 4.0


def agreement(raw_scores: Matrix) -> Matrix:
    """Return the mean rank correlation, in [-1, 1], of each candidate with the others, (K,).

    Raw scores, (K, T), are of the series as it came. Constant scores, and one candidate alone, have 0. The
    correlation is that of Savage scores (Iman and Conover, "A measure of top-down correlation", Technometrics
    1987): the order of the highest scores counts, where anomalies are, and the order of the normal points
    hardly does.
    """
    n_candidates, n_points = raw_scores.shape
    if n_candidates < 2:
        return np.zeros(n_candidates)
    ranks = rankdata(raw_scores, axis=1)
    savage = -np.log((n_points - ranks + 1) / (n_points + 1))
    savage -= savage.mean(axis=1, keepdims=True)
    norm = np.sqrt((savage**2).sum(axis=1))
    unit = savage / np.where(norm > 1e-9, norm, np.inf)[:, None]
    correlation = unit @ unit.T
    np.fill_diagonal(correlation, 0)
    return correlation.sum(axis=1) / (n_candidates - 1)


def aggregate_ranks(
    found: Matrix,
    agreed: Matrix,
    experience: Matrix,
    *,
    agreement_share: float = AGREEMENT_SHARE,
    experience_share: float = EXPERIENCE_SHARE,
) -> Matrix:
    """Return the mean rank of each candidate over all evidence, (K,); 1 is best.

    `found` (N, K) says how well each did in each trial, `agreed` (K,) is that of `agreement`, `experience`
    (K,) says how well each did on other series, NaN where that is not known. The latter two have the given
    weights, the trials the rest.

    Borda count: ranks are bounded, so that no single trial, however odd, moves the order by more than its
    share. Ties get their mean rank, and a candidate without experience the middle one.
    """
    ranks = agreement_share * rankdata(-agreed.round(9)) + experience_share * _rank_known(experience)
    if len(found):
        rest = 1 - agreement_share - experience_share
        ranks += rest * rankdata(-found.round(9), axis=1).mean(axis=0)
    else:
        ranks /= agreement_share + experience_share
    return ranks.round(9)  # so that equals tie


def _rank_known(experience: Matrix) -> Matrix:
    known = ~np.isnan(experience)
    middle = (len(experience) + 1) / 2
    ranks = np.full(len(experience), middle)
    ranks[known] = rankdata(-experience[known]) - (known.sum() + 1) / 2 + middle
    return ranks


def expected_advantage(found: Matrix, agreed: Matrix, experience: Matrix, default: int) -> Matrix:
    """Return by how much each candidate should beat the default on the true anomalies, (K,).

    `found` (N, K) says how well each did in each trial, `agreed` (K,) is that of `agreement`, `experience`
    (K,) says how well each did on other series, NaN where that is not known, and `default` is the column of
    the default, which has 0. Without any trial all others are negative.

    What is expected beforehand, plus a slope times the mean advantage in the trials, plus a slope times the
    advantage in agreement. Beforehand a candidate loses by 0.1, or by the difference in experience where it
    is larger; with slopes below 1 this is the pull towards the default. Of few trials the mean counts less:
    it is multiplied by ``N / (N + 4)``, as if four more trials had shown no difference.
    """
    n_trials = len(found)
    advantage = np.zeros(len(agreed))
    if n_trials:
        mean = found.mean(axis=0)
        advantage = n_trials / (n_trials + PSEUDO_TRIALS) * (mean - mean[default])
    known = np.nan_to_num(experience - experience[default], nan=BIAS)
    expected: Matrix = np.minimum(known, BIAS) + SLOPE_TRIALS * advantage
    expected += SLOPE_AGREEMENT * (agreed - agreed[default]) if n_trials else 0.0
    expected[default] = 0.0
    return expected
