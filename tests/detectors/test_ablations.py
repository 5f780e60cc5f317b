"""Ideas of other methods on VETime's networks: each sees what it is made to see."""

from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins import VETimePipeline, detectors
from vetime_plugins.errors import InputError

ROWS = ("vetime-imputation", "vetime-certain-error", "vetime-embedding-lof", "vetime-temporal")
FLAT = slice(1200, 1240)


def wave(n=2000, seed=0):
    """A noisy sine of 40 steps, flat for one cycle."""
    values = np.sin(2 * np.pi * np.arange(n) / 40)
    values[FLAT] = 0.0
    return values + 0.05 * np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("name", ROWS)
def test_finds_a_flat_cycle(name):
    scores = detectors.get(name).fit_score(wave(), 0)
    rest = np.delete(scores, np.r_[FLAT.start - 40 : FLAT.stop + 40])
    assert scores[FLAT].max() > np.quantile(rest, 0.98)


@pytest.mark.parametrize("name", ["vetime-imputation", "vetime-certain-error"])
def test_the_most_anomalous_variable_decides(name):
    one = wave()
    calm = np.sin(2 * np.pi * np.arange(len(one)) / 40) + 0.05 * np.random.default_rng(1).normal(
        size=len(one)
    )
    alone, both = (detectors.get(name).fit_score(values, 0) for values in (one, np.c_[one, calm]))
    assert (both >= alone - 1e-6).all()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("values", [np.ones(200), np.arange(3.0), np.r_[np.zeros(199), 1.0]])
def test_degenerate(name, values):
    scores = detectors.get(name).fit_score(values, 0)
    assert scores.shape == values.shape
    assert np.isfinite(scores).all()


def test_certainty_weighs_the_error():
    """The same error counts more where values were expected to vary less."""
    rng = np.random.default_rng(0)
    values = np.r_[0.05 * rng.normal(size=1000), 2 * rng.normal(size=1000)]
    values[500] += 1.0
    plain, weighed = (
        detectors.get(name).fit_score(values, 0) for name in ("vetime-imputation", "vetime-certain-error")
    )
    assert plain[500] < plain[1100:].max()
    assert weighed[500] > weighed[1100:].max()


def test_is_read_off_the_explanation():
    values = wave()
    found = VETimePipeline.from_pretrained("expectation", device="cpu").explain(values)
    error = np.abs(values - found.reconstruction[:, 0]) / values.std()
    np.testing.assert_allclose(detectors.get("vetime-imputation").fit_score(values, 0), error, atol=1e-6)


def test_embeddings_come_in_patches():
    scores = detectors.get("vetime-embedding-lof").fit_score(wave(), 0)
    patch = VETimePipeline.from_pretrained("small", device="cpu").config.patch_size
    np.testing.assert_array_equal(scores.reshape(-1, patch), scores[::patch, None].repeat(patch, axis=1))


def test_temporal_compares_with_the_context_only():
    """What is alike everywhere is no discrepancy, and the vision branch has no say."""
    scores = detectors.get("vetime-temporal").fit_score(np.tile(np.sin(np.arange(16) * np.pi / 8), 100), 0)
    assert np.ptp(scores[320:-320]) < 0.05
    with pytest.raises(InputError, match="use_vision: part of a VETime network; 'expectation' has none"):
        detectors.get("vetime-temporal", weights="expectation").fit_score(wave(), 0)
