"""Train `small` with one part left out at a time, and measure what each part is worth on real series.

    python benchmarks/ablations.py train RUNS [--arm full --arm no-vision ...]
    python benchmarks/ablations.py measure RUNS --data DIR --dataset NAME ... --out DIR [--correction 1 0.25]
    python benchmarks/ablations.py table CELLS

``train`` runs every arm with the same seed and budget (a fifth of that of the bundled weights): the same
batches in the same order. A run that was cut off goes on where it was. ``measure`` scores every series with
every arm, with the learned correction at full strength and at others, and prints means over data sets x 100
with the paired bootstrap of the difference to ``full``; ``table`` prints them again, from that folder or
from what `vetime leaderboard export` made of it. Two more rows take the distances to nearest
neighbours between patch embeddings of ``full`` in place of raw subsequences, as THEMIS (2025) does with
those of a foundation model: ``embedding`` alone, and ``novelty+embedding``, the mean of both.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from choose_correction import at_full_strength, learned_margins, mix, novelty_margins
from numpy.typing import NDArray
from tables import show, to_markdown

from vetime_plugins.leaderboard.export import load_cells
from vetime_plugins.leaderboard.results import Cell, cell_path, write_cell
from vetime_plugins.leaderboard.summary import compare_cells, summarise_cells
from vetime_plugins.leaderboard.tasks import Task
from vetime_plugins.leaderboard.worker import take_metrics
from vetime_plugins.network.pooling import pool_margins
from vetime_plugins.network.preparation import Unit, cut, find_units
from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.readout import read_out
from vetime_plugins.training.config import TrainingConfig
from vetime_plugins.training.loop import train

METRICS = ("VUS-PR", "AUC-PR")
NEIGHBOURS, TRIVIAL = 5, 2
"""Neighbours averaged, and patches on both sides that are trivial matches, of embeddings."""
STEPS = {"vision": 60, "temporal": 60, "full": 320}
ARMS: dict[str, dict[str, Any]] = {
    "full": {},
    "no-vision": {"model": {"use_vision": False}},
    "no-temporal": {"model": {"use_temporal": False}},
    "no-contrast": {"loss": {"contrast": 0.0}},
    "no-router": {"model": {"use_router": False}},
    "no-retrieval": {"model": {"retrieval": None, "retrieval_channels": 0}},
    "no-pretraining": {"steps": {"vision": 0, "temporal": 0, "full": STEPS["full"]}},
    "any-variate": {"model": {"any_variate": True}},
}
"""What each arm changes of the training configuration of `small`."""


Scorer = Callable[[list[Unit], tuple[int, int]], NDArray[np.float64]]


def configuration(arm: str) -> TrainingConfig:
    """Return the training configuration of an arm."""
    config = dataclasses.replace(TrainingConfig.read("small"), steps=STEPS)
    changes = dict(ARMS[arm])
    for table in ("model", "loss"):
        if table in changes:
            changes[table] = dataclasses.replace(getattr(config, table), **changes[table])
    return dataclasses.replace(config, **changes)


class Arm:
    """A trained arm, at full strength."""

    def __init__(self, folder: Path) -> None:
        self.pipeline, _ = at_full_strength(folder)

    def embedding_distances(self, units: list[Unit], shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return asinh z-scores (T, C) of the distances between patch embeddings."""
        pipeline, p = self.pipeline, self.pipeline.config.patch_size
        tokens: dict[int, list[torch.Tensor]] = {}
        for group, output in pipeline._reader.run(cut(units, pipeline.config)):
            for (chunk, columns), found in zip(group, output.stages["F_AD"], strict=True):
                own = found.unflatten(0, (len(columns), -1))[:, : chunk.stop - chunk.start]
                for column, patches in zip(columns.tolist(), own, strict=True):
                    tokens.setdefault(column, []).append(patches)
        result = np.full(shape, -np.inf)
        for column, parts in tokens.items():
            embedded = torch.nn.functional.normalize(torch.cat(parts), dim=-1)
            distances = torch.cdist(embedded, embedded)
            index = torch.arange(len(embedded))
            distances[(index[:, None] - index).abs() <= TRIVIAL] = torch.inf
            nearest = distances.topk(min(NEIGHBOURS, len(embedded)), largest=False).values
            nearest = nearest.where(nearest.isfinite(), 0.0).mean(1).double()
            z = torch.asinh((nearest - nearest.mean()) / (nearest.std(correction=0) + 1e-9))
            result[:, column] = z.repeat_interleave(p)[: shape[0]].numpy()
        return result

    def scores(self, units: list[Unit], shape: tuple[int, int], correction: float) -> NDArray[np.float64]:
        """Return the scores of a prepared series; an arm without retrieval has one strength only."""
        learned = learned_margins(self.pipeline, units, shape)
        if self.pipeline.config.retrieval is None:
            return self.read(learned, units)
        return self.read(mix(self.novelty(units, shape), learned, correction), units)

    def novelty(self, units: list[Unit], shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the parameter-free novelty (T, C)."""
        return novelty_margins(units, shape)

    def read(self, margins: NDArray[np.float64], units: list[Unit]) -> NDArray[np.float64]:
        """Return scores (T,) of margins (T, C)."""
        period = units[0][0].strip.period if units else 1
        return read_out(pool_margins(margins, self.pipeline.config.variable_pooling), "point", [period])


def measure(args: argparse.Namespace) -> None:
    """Keep a cell a series, arm and correction; print the table.

    Not through the leaderboard's runner, which knows one detector on one series: here all arms share the
    distances between the subsequences of a series, which are most of the work.
    """
    arms = {name: Arm(args.runs / name / "weights") for name in args.arm or ARMS}
    names: list[tuple[str, Arm, Scorer]] = [
        (f"{name}@{c:g}", arm, partial(arm.scores, correction=c))
        for name, arm in arms.items()
        for c in (args.correction if arm.pipeline.config.retrieval is not None else [1.0])
    ]
    if "full" in arms:
        full = arms["full"]

        def embedding(units: list[Unit], shape: tuple[int, int]) -> NDArray[np.float64]:
            return full.read(full.embedding_distances(units, shape), units)

        def both(units: list[Unit], shape: tuple[int, int]) -> NDArray[np.float64]:
            joined = (full.novelty(units, shape) + full.embedding_distances(units, shape)) / 2
            return full.read(joined, units)

        names += [("embedding@1", full, embedding), ("novelty+embedding@1", full, both)]
    task = Task.read("tsb-ad").narrowed(folder=args.data, datasets=args.dataset)
    for entry in task.find():
        missing = [one for one in names if not cell_path(args.out, one[0], entry.name).exists()]
        if not missing:
            continue
        one, prepared = task.load(entry), {}  # the retrieval distances are most of the work: share them
        series = as_series(one.values)
        for name, arm, score in missing:
            config = arm.pipeline.config
            joint = config.any_variate and series.n_variables > 1
            if config.retrieval is not None and joint not in prepared:
                prepared[joint] = find_units(series, config)
            units = prepared[joint] if joint in prepared else find_units(series, config)
            scores = score(units, series.values.shape)[one.train_length :]
            cell = Cell(
                task="ablations",
                detector=name,
                series=one.name,
                dataset=one.dataset,
                status="OK",
                error=None,
                n_points=len(series),
                n_variables=series.n_variables,
                train_length=one.train_length,
                buffer=one.buffer,
                **take_metrics(one.labels[one.train_length :], scores, one.buffer, METRICS),
            )
            write_cell(args.out, cell, scores)
    report(load_cells(args.out))


def report(cells: list[Cell]) -> None:
    """Print one line an arm and correction."""
    groups = {name: [cell for cell in cells if cell.detector == name] for name in summarise_cells(cells)}
    rows = []
    order = [*ARMS, "embedding", "novelty+embedding"]
    summaries = sorted(summarise_cells(cells).items(), key=lambda one: order.index(one[0].split("@")[0]))
    for name, summary in summaries:
        full = f"full@{name.split('@')[1]}"
        row: dict[str, Any] = {"arm @ correction": name}
        for metric in METRICS:
            other = None if name == full else compare_cells(groups[name], groups[full], metric=metric)
            row |= {metric: summary.mean[metric], f"{metric} against full": other and show(other)}
        rows.append(row | {dataset: values["VUS-PR"] for dataset, values in summary.datasets.items()})
    print(to_markdown(pd.DataFrame(rows)))


def main() -> None:
    """Train, measure or tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "measure", "table"))
    parser.add_argument("runs", type=Path, help="folder of runs, or the cells that are tabulated")
    parser.add_argument("--arm", action="append", choices=tuple(ARMS))
    parser.add_argument("--data")
    parser.add_argument("--dataset", action="append")
    parser.add_argument("--out")
    parser.add_argument("--correction", type=float, nargs="+", default=[1.0])
    args = parser.parse_args()
    if args.what == "train":
        for arm in args.arm or ARMS:
            train(configuration(arm), args.runs / arm)
    elif args.what == "table":
        report(load_cells(args.runs))
    elif not (args.data and args.out):
        parser.error("measure needs --data and --out")
    else:
        measure(args)


if __name__ == "__main__":
    main()
