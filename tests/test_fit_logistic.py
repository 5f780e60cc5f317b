"""The last linear step of margins, as the benchmarks fit it for new weights."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def fit_logistic(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("choose_correction").fit_logistic


def draw(scale, offset, n=50_000, seed=0):
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1, 2, size=n)
    return margin, (rng.random(n) < 1 / (1 + np.exp(-(scale * margin + offset)))).astype(int)


@pytest.mark.parametrize(("scale", "offset"), [(2, -1), (0.3, -3), (1.95, 2.5), (5, -8)])
def test_finds_what_the_labels_were_drawn_with(fit_logistic, scale, offset):
    found = fit_logistic(*draw(scale, offset))
    assert found == pytest.approx((scale, offset), rel=0.1)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_is_the_maximum_of_the_likelihood_in_every_unit(fit_logistic, unit):
    margin, label = draw(2, -1, n=2000)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(margin[:, None], label)
    scale, offset = fit_logistic(margin * unit, label)
    assert scale * unit == pytest.approx(peer.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(peer.intercept_[0], rel=1e-3)


def test_margins_of_constants_do_not_count(fit_logistic):
    margin, label = draw(2, -1, n=2000)
    more = np.append(margin, np.full(500, -np.inf)), np.append(label, np.zeros(500, dtype=int))
    assert fit_logistic(*more) == fit_logistic(margin, label)


@pytest.mark.parametrize("label", [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]])
def test_what_has_no_maximum_is_refused(fit_logistic, label):
    with pytest.raises(ValueError, match="a threshold parts"):
        fit_logistic(np.arange(4.0), np.array(label))
