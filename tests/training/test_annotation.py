"""Labels as people set them: windows around what is gross."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vetime_plugins.network.model import ModelInput
from vetime_plugins.training.annotation import Marks, annotate
from vetime_plugins.training.config import LossConfig
from vetime_plugins.training.data import TrainingBatch


def _batch(severity: Tensor, group: list[int] | None = None, steps: Tensor | None = None) -> TrainingBatch:
    size, width = severity.shape
    zeros = torch.zeros(size, 1, width)
    inputs = ModelInput(
        zeros, zeros[:, :, None].to(torch.uint8), zeros[:, 0, :1].to(torch.uint8), *2 * [torch.ones(size)]
    )
    group = list(range(size)) if group is None else group
    return TrainingBatch(
        inputs=inputs,
        labels=(severity > 0).float(),
        severity=severity,
        clean=zeros,
        steps=torch.ones(size, width, dtype=torch.bool) if steps is None else steps,
        group=torch.tensor(group),
        n_groups=max(group) + 1,
    )


def _annotate(batch: TrainingBatch, seed: int = 0, **loss: float) -> Marks:
    return annotate(batch, LossConfig(**loss), torch.Generator().manual_seed(seed))


@pytest.fixture
def severity() -> Tensor:
    values = torch.zeros(40, 400)
    values[:, 100:110] = 8.0
    values[:, 104] = 0.0  # a phase shift crosses the clean series; still labelled, see the fixture's user
    values[:, 300:303] = 1.0
    return values


def test_nothing_is_changed_where_people_are_not_imitated(severity: Tensor) -> None:
    batch = _batch(severity)
    marks = _annotate(batch, label_margin=0, unmarked=0.0)
    assert torch.equal(marks.labels, batch.labels > 0)


def test_a_run_counts_with_its_largest_severity(severity: Tensor) -> None:
    batch = _batch(severity)
    batch.labels[:, 104] = 1
    marks = _annotate(batch, label_margin=0, unmarked=0.0)
    assert (marks.severity[:, 100:110] == 8).all()
    assert (marks.severity[:, 300:303] == 1).all()
    assert not marks.severity[:, 110:300].any()


def test_margins_are_symmetric_bounded_and_of_many_widths(severity: Tensor) -> None:
    severity[:, 104] = 8.0
    marks = _annotate(_batch(severity), label_margin=32, unmarked=0.0)
    left = marks.labels[:, :100].sum(1)
    assert torch.equal(left, marks.labels[:, 110:200].sum(1))
    assert left.max() <= 32
    assert len(left.unique()) > 5
    assert 0.1 < (left == 0).float().mean() < 0.6
    assert (marks.severity[:, :200][marks.labels[:, :200]] == 8).all()


def test_mild_anomalies_beside_a_gross_one_go_unmarked_in_a_share_of_series(severity: Tensor) -> None:
    severity[:, 104] = 8.0
    for share, expected in ((0.0, 1.0), (1.0, 0.0)):
        marks = _annotate(_batch(severity), label_margin=0, unmarked=share)
        assert marks.labels[:, 300:303].float().mean() == expected
        assert marks.labels[:, 100:110].all()
    half = _annotate(_batch(severity), label_margin=0, unmarked=0.5).labels[:, 301].float().mean()
    assert 0.2 < half < 0.8


def test_a_mild_anomaly_alone_is_marked(severity: Tensor) -> None:
    severity[:, :200] = 0
    assert _annotate(_batch(severity), label_margin=0, unmarked=1.0).labels[:, 300:303].all()


def test_chunks_of_one_series_are_marked_alike() -> None:
    values = torch.zeros(2, 100)
    values[0, 50], values[1, 50] = 1.0, 10.0
    marks = _annotate(_batch(values, group=[0, 0]), label_margin=0, unmarked=1.0)
    assert not marks.labels[0].any()
    assert marks.labels[1, 50]
    values[0, 50] = 10.0
    for seed in range(5):
        labels = _annotate(_batch(values, group=[0, 0]), seed=seed, label_margin=40, unmarked=0.0).labels
        assert torch.equal(labels[0], labels[1])


def test_padding_is_never_marked() -> None:
    values = torch.zeros(1, 100)
    values[0, 70] = 5.0
    steps = torch.arange(100)[None] < 72
    for seed in range(5):
        labels = _annotate(_batch(values, steps=steps), seed=seed, label_margin=20, unmarked=0.0).labels
        assert not labels[:, 72:].any()


def test_series_without_anomalies_stay_so() -> None:
    marks = _annotate(_batch(torch.zeros(3, 50)))
    assert not marks.labels.any()
    assert not marks.severity.any()
