from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def gate_module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("corpus_gate")


@pytest.fixture
def overlap(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("backgrounds_overlap")


def sample(gate_module, telling, n=120):
    """Channels of noise, but that `telling` is high at anomalous points."""
    rng = np.random.default_rng(0)
    anomalous = rng.normal(0, 0.5, (n, gate_module.ANOMALOUS, 8)).astype(np.float32)
    normal = rng.normal(0, 0.5, (n, gate_module.NORMAL + gate_module.HARD, 8)).astype(np.float32)
    anomalous[:, :, telling] += 1.0
    quantiles = rng.standard_normal((n, 72)).astype(np.float32)
    kinds = [frozenset({"spike"} if i % 2 else {"spike", "drift"}) for i in range(n)]
    families = np.array(["tone", "heart", "web"] * (n // 3))
    return gate_module.Sample(quantiles, anomalous, normal, families, kinds)


def test_the_gate_starts_at_the_parameter_free_novelty(gate_module):
    channels = np.random.default_rng(0).normal(1, 1, (300, 8)).astype(np.float32)
    gate = gate_module.Gate(torch.zeros(72), torch.ones(72), 8)
    with torch.no_grad():
        margins, weights = gate(torch.randn(1, 72), torch.from_numpy(channels)[None])
    np.testing.assert_allclose(margins[0].numpy(), gate_module.novelty(channels), atol=1e-4)
    np.testing.assert_allclose(weights.numpy(), 1 / 8, atol=1e-6)


def test_the_ranking_loss_is_one_minus_precision(gate_module):
    hard = gate_module.HARD
    low = torch.zeros(1, gate_module.NORMAL + hard)
    below, above = torch.full((1, 10), 20.0), torch.full((1, 10), -20.0)
    assert gate_module.rank_loss(below, low, hard) == pytest.approx(0.0, abs=1e-4)
    # All normal points lie above: half of the anomalous ones (ties) of thirty times as many points.
    expected = 1 - 0.5 / (0.5 + gate_module.RATIO)
    assert gate_module.rank_loss(above, low, hard) == pytest.approx(expected, abs=1e-4)


def test_the_gate_learns_the_telling_channel(gate_module, monkeypatch):
    monkeypatch.setattr(gate_module, "STEPS", 300)
    given = sample(gate_module, telling=5)
    rows = given.rows(frozenset())
    gate, before, after = gate_module.learn(given, rows, seed=0, constant=True)
    assert after < before - 0.05
    with torch.no_grad():
        _, weights = gate(torch.zeros(1, 72), torch.zeros(1, 1, 8))
    assert int(weights.argmax()) == 5


def test_the_pull_shows_the_telling_channel(gate_module):
    given = sample(gate_module, telling=2)
    pull = gate_module.pulls(given.anomalous, given.normal).mean(0)
    assert int(pull.argmax()) == 2
    assert pull.sum() == pytest.approx(0.0, abs=1e-6)  # weights sum to one


def test_families_and_kinds_are_left_out(gate_module):
    given = sample(gate_module, telling=0)
    assert given.rows(frozenset()).all()
    assert given.rows(frozenset({"drift"})).sum() == 60
    assert given.rows(frozenset({"spike"})).sum() == 0
    assert given.rows(frozenset({"heart"})).sum() == 80


def test_a_copy_is_found_whatever_its_scale_and_trend(overlap):
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal(400))
    projection = rng.standard_normal((overlap.WINDOW, 3)) * 3
    mine, _ = overlap.windows(walk, 1)
    copy, starts = overlap.windows(-0.0 + 7 * walk[100:200] + 3 * np.arange(100) - 50, 1)
    other, _ = overlap.windows(np.cumsum(rng.standard_normal(100)), 1)
    for row, start in zip(copy, starts, strict=True):
        assert mine[start + 100] @ row > overlap.SAME
    same = overlap.keys(mine[100 + starts], projection, 0.5) == overlap.keys(copy, projection, 0.5)
    assert same.mean() > 0.95
    assert (mine @ other.T).max() < overlap.SAME


def test_lines_and_steps_are_no_evidence(overlap):
    assert len(overlap.windows(np.linspace(0, 5, 300), 1)[0]) == 0
    assert len(overlap.windows((np.arange(300) > 150).astype(float), 1)[0]) == 0
    assert len(overlap.windows(np.ones(20), 1)[0]) == 0
