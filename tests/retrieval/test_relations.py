"""What a variable should be, given the others, and evidence that it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from vetime_plugins.retrieval.relations import toward_relations

WIDTH = 9


def _standard(x: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(((x - x.mean(0)) / x.std(0)).T.copy()).float()


def _related(length: int = 1500, seed: int = 0) -> NDArray[np.float64]:
    """Three readings of one cause, and a variable of its own."""
    rng = np.random.default_rng(seed)
    cause = np.convolve(rng.standard_normal(length + 49), np.ones(50) / 7, mode="valid")
    x = np.outer(cause, [1.0, -2.0, 0.5, 0.0]) + 0.1 * rng.standard_normal((length, 4))
    x[:, 3] = rng.standard_normal(length)
    return x


def _plain(z: NDArray[np.float64], evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move evidence by regressions made one by one."""
    moved = evidence.copy()
    for c in range(len(z)):
        others = np.delete(z, c, axis=0).T
        model = Ridge(alpha=0.1 * z.shape[1], fit_intercept=False).fit(others, z[c])
        rest = z[c] - model.predict(others)
        sums = np.convolve(np.abs(rest), np.ones(WIDTH), "same")
        means = sums / np.convolve(np.ones(len(rest)), np.ones(WIDTH), "same")
        relation = np.arcsinh((means - means.mean()) / (means.std() + 0.005))
        told = max(0.0, 1 - np.mean(rest**2) / np.mean(z[c] ** 2))
        moved[c] += told / 2 * np.maximum(relation - evidence[c], 0)
    return moved


def test_evidence_moves_as_the_plain_reference_says() -> None:
    z = _standard(_related(400))
    evidence = np.random.default_rng(1).normal(size=z.shape)
    got = toward_relations(torch.from_numpy(evidence).float(), [z], None, WIDTH)
    np.testing.assert_allclose(got.numpy(), _plain(z.double().numpy(), evidence), atol=1e-3)


def test_a_broken_relation_stands_out_and_no_variable_of_its_own_does() -> None:
    x = _related()
    x[700:740, 0] = x[200:240, 0]  # what it was at another time
    calm = torch.zeros(4, 1500)
    moved = toward_relations(calm, [_standard(x)], None, WIDTH)
    assert 700 <= moved[0].argmax() < 740
    assert moved[0, 700:740].mean() > 5 * moved[0].mean()
    assert moved[3].max() < 0.1


def test_a_step_that_was_filled_in_tells_nothing() -> None:
    x, valid = _related(), torch.ones(4, 1500)
    x[700:740, 0] = x[200:240, 0]
    valid[1, 700:740] = 0
    calm = torch.zeros(4, 1500)
    moved = toward_relations(calm, [_standard(x)], valid, WIDTH)
    inside = slice(700 + WIDTH, 740 - WIDTH)
    assert not moved[:, inside].any()
    nothing = toward_relations(calm, [_standard(x)], torch.zeros(4, 1500), WIDTH)
    assert nothing.equal(calm)


@pytest.mark.parametrize("length", [1, 5, 3000])
def test_copies_and_short_series_stay_finite(length: int) -> None:
    x = np.repeat(np.random.default_rng(0).standard_normal((length, 1)), 6, axis=1)
    z = torch.from_numpy(x.T.copy()).float()
    moved = toward_relations(torch.zeros(6, length), [z, z], None, WIDTH)
    assert moved.isfinite().all()
