"""The objectives against slow loops over samples, windows and patches."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from vetime_plugins.network.losses import (
    TEMPERATURE,
    Segments,
    WindowContrast,
    balance_loss,
    detection_loss,
    inter_window_loss,
    intra_window_loss,
    ranking_loss,
    reconstruction_loss,
    severity_ranking_loss,
)


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    runs, start = [], None
    for i, value in enumerate([*row, False]):
        if value and start is None:
            start = i
        if not value and start is not None:
            runs.append((start, i))
            start = None
    return runs


@pytest.fixture
def case() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.rand(5, 40, generator=generator) < 0.15
    labels[0] = False
    labels[1, 10:17] = True
    mask = torch.ones(5, 40, dtype=torch.bool)
    mask[2, 30:] = False
    labels &= mask
    a = F.normalize(torch.randn(5, 40, 8, generator=generator), dim=-1)
    b = F.normalize(torch.randn(5, 40, 8, generator=generator), dim=-1)
    return a, b, labels, ~labels & mask


def test_segments_are_the_runs(case: tuple[torch.Tensor, ...]) -> None:
    labels = case[2]
    found = Segments.of(labels)
    for row in range(len(labels)):
        for start, stop in _runs(labels[row].tolist()):
            assert (found.start[row, start:stop] == start).all()
            assert (found.stop[row, start:stop] == stop).all()


def test_intra_window_loss_equals_the_loop(case: tuple[torch.Tensor, ...]) -> None:
    a, b, labels, normal = case
    terms = []
    for row in range(len(a)):
        for start, stop in _runs(labels[row].tolist()):
            reach = max(4, stop - start)
            context = [j for j in range(max(0, start - reach), min(40, stop + reach)) if normal[row, j]]
            for i in range(start, stop):
                if context:
                    logits = torch.stack([a[row, i] @ b[row, j] for j in [i, *context]]) / TEMPERATURE
                    terms.append(F.cross_entropy(logits[None], torch.tensor([0])))
    expected = torch.stack(terms).mean()
    torch.testing.assert_close(intra_window_loss(a, b, labels, normal, Segments.of(labels)), expected)


def test_inter_window_loss_equals_the_loop(case: tuple[torch.Tensor, ...]) -> None:
    a, b, labels, normal = case
    terms = []
    for row in range(len(a)):
        for start, stop in _runs(labels[row].tolist()):
            length = stop - start
            if length < 2:
                continue
            others = [j for j in range(40 - length + 1) if normal[row, j : j + length].all()]
            if not others:
                continue
            query = F.normalize(a[row, start:stop].mean(0), dim=0)
            keys = [F.normalize(b[row, j : j + length].mean(0), dim=0) for j in [start, *others]]
            logits = torch.stack([query @ key for key in keys]) / TEMPERATURE
            terms.append(F.cross_entropy(logits[None], torch.tensor([0])))
    expected = torch.stack(terms).mean()
    torch.testing.assert_close(
        inter_window_loss(a, b, labels, normal, Segments.of(labels)), expected, rtol=1e-4, atol=1e-5
    )


def test_contrast_without_anomalies_is_zero_and_differentiable() -> None:
    contrast = WindowContrast(16)
    z = torch.randn(2, 10, 16, requires_grad=True)
    none = torch.zeros(2, 10, dtype=torch.bool)
    loss = contrast(z, z, none, ~none)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(z.grad).all()


def test_contrast_never_crosses_samples() -> None:
    torch.manual_seed(0)
    contrast = WindowContrast(16)
    z = torch.randn(2, 20, 16)
    labels = torch.zeros(2, 20, dtype=torch.bool)
    labels[:, 5:8] = True
    mask = torch.ones_like(labels)
    alone = [contrast(z[i : i + 1], z[i : i + 1].flip(2), labels[:1], mask[:1]) for i in range(2)]
    both = contrast(z, z.flip(2), labels, mask)
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


def test_balance_is_least_when_experts_share() -> None:
    mask = torch.ones(1, 12, dtype=torch.bool)
    even = torch.eye(3).repeat(4, 1).expand(2, 1, 1, 12, 3)
    one = F.one_hot(torch.zeros(12, dtype=torch.long), 3).float().expand(2, 1, 1, 12, 3)
    assert math.isclose(float(balance_loss(even, mask)), 1 / 3, rel_tol=1e-5)
    assert float(balance_loss(one, mask)) == 1


def test_detection_loss_ignores_padding() -> None:
    margin, labels = torch.tensor([[2.0, -1.0, 99.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert math.isclose(float(detection_loss(margin, labels, weight)), expected, rel_tol=1e-5)


def test_ranking_loss_equals_the_loop_over_series() -> None:
    torch.manual_seed(1)
    margin = torch.randn(4, 9)
    positive = (torch.rand(4, 9) < 0.3) * torch.rand(4, 9)
    negative = (positive == 0) & (torch.rand(4, 9) < 0.9)
    group = torch.tensor([0, 1, 1, 2])
    total = weight = torch.tensor(0.0)
    for row in range(4):
        others = torch.cat([margin[r][negative[r]] for r in range(4) if group[r] == group[row]])
        for t in range(9):
            term = -F.log_softmax(torch.cat([margin[row, t : t + 1], others]), dim=0)[0]
            total, weight = total + positive[row, t] * term, weight + positive[row, t]
    expected = total / weight.clamp(min=1.0)
    torch.testing.assert_close(ranking_loss(margin, positive, negative, group, 3), expected)


def test_ranking_loss_without_normal_steps_has_a_gradient() -> None:
    margin = torch.zeros(2, 5, requires_grad=True)
    ones = torch.ones(2, 5)
    ranking_loss(margin, ones, torch.zeros(2, 5, dtype=torch.bool), torch.tensor([0, 1]), 2).backward()
    assert torch.isfinite(margin.grad).all()


def test_reconstruction_counts_real_steps_only() -> None:
    prediction, target = torch.zeros(1, 1, 4), torch.tensor([[[0.5, 0.0, 9.0, 9.0]]])
    mask = torch.tensor([[[True, True, False, False]]])
    assert math.isclose(float(reconstruction_loss(prediction, target, mask)), 0.0625, rel_tol=1e-6)


def test_severity_ranking_equals_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    margin = torch.randn(3, 40, generator=generator)
    severity = torch.where(
        torch.rand(3, 40, generator=generator) < 0.3, torch.rand(3, 40, generator=generator) * 12, 0.0
    )
    normal, group = severity == 0, torch.tensor([0, 1, 1])
    level = torch.bucketize(severity, torch.tensor([0.5, 1.0, 2.0, 4.0, 8.0]))
    total = weights = 0.0
    for row in range(3):
        for i in range(40):
            if severity[row, i] > 0:
                rivals = [
                    margin[r, j].exp()
                    for r in range(3)
                    for j in range(40)
                    if group[r] == group[row]
                    and (normal[r, j] or (severity[r, j] > 0 and level[r, j] <= level[row, i] - 2))
                ]
                weight = 0.25 + min(float(severity[row, i]), 4.0)
                own = margin[row, i].exp()
                total += weight * float(-torch.log(own / (own + sum(rivals))))
                weights += weight
    got = severity_ranking_loss(margin, severity, normal, group, 2)
    assert float(got) == pytest.approx(total / weights, rel=1e-4)


def test_severity_ranking_without_anomalies_is_zero() -> None:
    zeros = torch.zeros(2, 10)
    assert severity_ranking_loss(zeros, zeros, zeros == 0, torch.tensor([0, 1]), 2) == 0
