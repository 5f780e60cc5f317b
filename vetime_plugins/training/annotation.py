"""What an annotator would have marked of the anomalies that a synthetic series has."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vetime_plugins.training.config import LossConfig
from vetime_plugins.training.data import TrainingBatch

_EXACT = 0.3
"""Share of the series whose labels stay exact."""


class Marks(NamedTuple):
    """Labels as people set them, bool (B, T).

    The severity (B, T) is the largest of the marked anomaly that a step belongs to or lies beside, else 0.
    """

    labels: Tensor
    severity: Tensor


def annotate(batch: TrainingBatch, loss: LossConfig, generator: torch.Generator) -> Marks:
    """Mark windows around gross anomalies.

    The exact labels of the generator differ from those of real data in two ways that a network otherwise
    learns to rely on. Real labels are windows around an anomaly, of a width that depends on who set them; and
    where a series has gross anomalies, faint ones are rarely marked.

    The generator, on the CPU, draws one width and one habit a series, whatever the number of its chunks.
    """
    exact, every = torch.rand(2, batch.n_groups, generator=generator).to(batch.labels.device)
    width = torch.exp(torch.rand(batch.n_groups, generator=generator) * math.log(max(1, loss.label_margin)))
    width = width.to(exact.device).where((exact >= _EXACT) & (loss.label_margin > 0), torch.zeros(()))

    labels = (batch.labels > 0.5) & batch.steps
    severity = _of_whole_anomalies(labels, batch.severity)
    grossest = severity.new_zeros(batch.n_groups).scatter_reduce(
        0, batch.group, severity.amax(1), "amax", include_self=True
    )
    least = torch.where(every < loss.unmarked, loss.mild * grossest, 0.0)
    labels = labels & (severity >= least[batch.group, None])

    nearest = _nearest(labels)  # (B, T)
    step = torch.arange(labels.shape[1], device=labels.device)
    near = (step - nearest).abs() <= width[batch.group, None]
    marked = near & (nearest >= 0) & batch.steps
    return Marks(marked, torch.where(marked, severity.gather(1, nearest.clamp_min(0)), 0.0))


def _of_whole_anomalies(labels: Tensor, severity: Tensor) -> Tensor:
    """Give every step of a run of True the run's largest severity: a phase shift crosses the clean series."""
    previous = torch.nn.functional.pad(labels, (1, 0))[:, :-1]
    run = (labels & ~previous).cumsum(1)  # (B, T), 0 before the first
    severity = torch.where(labels, severity.clamp_min(1e-3), 0.0)
    largest = severity.new_zeros(len(labels), int(run.max()) + 1).scatter_reduce(1, run, severity, "amax")
    return torch.where(labels, largest.gather(1, run), 0.0)


def _nearest(labels: Tensor) -> Tensor:
    """Return the index of the nearest True in each row of (B, T), -1 where there is none."""
    n = labels.shape[1]
    step = torch.arange(n, device=labels.device).expand_as(labels)
    before = torch.where(labels, step, -4 * n).cummax(1).values
    after = torch.where(labels, step, 4 * n).flip(1).cummin(1).values.flip(1)
    nearest = torch.where(step - before <= after - step, before, after)
    return torch.where((nearest >= 0) & (nearest < n), nearest, -1)
