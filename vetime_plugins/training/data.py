"""Synthetic batches, each a function of the seed and its number alone, whoever makes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vetime_plugins.network.config import VETimeConfig
from vetime_plugins.network.model import ModelInput
from vetime_plugins.network.preparation import Chunk, collate, prepare, split
from vetime_plugins.series.inputs import as_series
from vetime_plugins.synthesis import SyntheticSeries, generate
from vetime_plugins.synthesis.recipes import find_recipe
from vetime_plugins.training.config import DataConfig

VALIDATION_STREAM = 1
TRAINING_STREAM = 0


@dataclass
class TrainingBatch:
    """A batch and what the network should have said of it.

    Attributes
    ----------
    inputs : ModelInput
    labels : float32 Tensor of shape (B, T)
        1 at anomalous steps.
    severity : float32 Tensor of shape (B, T)
        How far an anomalous step lies from the clean series, in the clean series' local scale; 0 elsewhere.
    clean : float32 Tensor of shape (B, C, T)
        The series without its anomalies, in the standardised unit of the input.
    steps : bool Tensor of shape (B, T)
        Real steps.
    group : int64 Tensor of shape (B,)
        Series that a row was cut from.
    n_groups : int
    """

    inputs: ModelInput
    labels: Tensor
    severity: Tensor
    clean: Tensor
    steps: Tensor
    group: Tensor
    n_groups: int


class SyntheticBatches(Dataset[TrainingBatch]):
    """Batch number i of a stream.

    Parameters
    ----------
    model : VETimeConfig
    data : DataConfig
    seed, stream : int
        `stream` keeps validation apart from training.
    n_batches : int
    """

    def __init__(self, model: VETimeConfig, data: DataConfig, seed: int, stream: int, n_batches: int) -> None:
        self.model, self.data, self.seed, self.stream, self.n_batches = model, data, seed, stream, n_batches

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, index: int) -> TrainingBatch:
        data = self.data
        rng = np.random.default_rng([self.seed, self.stream, index])
        length = int(np.exp(rng.uniform(np.log(data.min_length), np.log(data.max_length + 1))))
        n_variables = 1
        if rng.random() < data.multivariate:
            n_variables = int(rng.integers(2, data.max_variables + 1))
        count = max(1, data.points_per_batch // (length * n_variables))
        seeds = rng.integers(0, 2**63 - 1, size=count)
        recipe = find_recipe(data.recipe)
        return make_batch(
            [generate(length, n_variables, seed=int(s), config=recipe) for s in seeds], self.model
        )


def make_batch(many: list[SyntheticSeries], config: VETimeConfig) -> TrainingBatch:
    """Prepare series of equally many variables as the pipeline would, cut them, and cut their targets alike.

    Parameters
    ----------
    many : list of SyntheticSeries
    config : VETimeConfig
    """
    p = config.patch_size
    chunks: list[Chunk] = []
    targets: list[dict[str, np.ndarray]] = []
    group: list[int] = []
    n_groups = 0
    for one in many:
        series = as_series(one.values)
        # Gaps are filled in the input; the clean series has its own values there.
        whole = np.where(np.isnan(one.clean), series.values, one.clean)
        for number, unit in enumerate(prepare(series, config)):
            columns = slice(None) if config.any_variate else slice(number, number + 1)
            clean = unit.scaling.standardise(whole[:, columns]).astype(np.float32)
            variable_labels = one.variable_labels[:, columns].any(axis=1)
            for chunk in split(unit, config):
                steps = slice(chunk.start * p, min(chunk.stop * p, len(series)))
                targets.append(
                    {
                        "labels": variable_labels[steps].astype(np.float32),
                        "severity": one.variable_severity[steps, columns].max(axis=1).astype(np.float32),
                        "clean": clean[steps].T,
                    }
                )
                chunks.append(chunk)
                group.append(n_groups)
            n_groups += 1
    inputs = collate(chunks, config)
    size, _, width = inputs.values.shape
    labels, severity = torch.zeros(size, width), torch.zeros(size, width)
    clean_values, steps_mask = torch.zeros_like(inputs.values), torch.zeros(size, width, dtype=torch.bool)
    for row, target in enumerate(targets):
        n = len(target["labels"])
        labels[row, :n] = torch.from_numpy(target["labels"])
        severity[row, :n] = torch.from_numpy(target["severity"])
        clean_values[row, :, :n] = torch.from_numpy(np.ascontiguousarray(target["clean"]))
        steps_mask[row, :n] = True
    return TrainingBatch(inputs, labels, severity, clean_values, steps_mask, torch.tensor(group), n_groups)


def stream(batches: SyntheticBatches, start: int, workers: int) -> Iterator[TrainingBatch]:
    """Yield the batches from number `start` on, made ahead by `workers` processes."""
    loader: DataLoader[TrainingBatch] = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, len(batches)),
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        worker_init_fn=_begin_worker,
    )
    return iter(loader)


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)
    sys.excepthook = _say_unless_left


def _say_unless_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, but not that a batch could not be handed over because the training has ended.

    The thread that hands batches over would print it after the line that ends the command. What goes wrong in
    making a batch reaches the training by other means.
    """
    if not isinstance(error, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)
