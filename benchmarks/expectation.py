"""Measure the expectation network: its surprise alone, and what it adds to the evidence.

    python benchmarks/expectation.py WEIGHTS [--data DIR] [--textbook NPZ] [--dataset NAME ...] [--out CSV]

WEIGHTS is "expectation" or a folder of such weights. The scores:

evidence
    The margin of the bundled weights `small`.
surprise
    What `vetime_plugins.network.surprise` makes of the expectation: the margin of the weights measured,
    before its last linear step. It reads no retrieval.
+ surprise / 2, + excess
    The evidence plus half of that, and plus what it has above 1.5.

VUS-PR and AUC-PR are means over the series of a data set, then over data sets (kinds, in textbook series), x
100, with the paired bootstrap of the difference to the evidence (95 %). Series longer than --max-steps are
left out. `--out` keeps a row for each score and series.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from choose_correction import learned_margins
from numpy.typing import NDArray
from tables import show, to_markdown

from vetime_plugins import VETimePipeline
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import auc_pr, find_buffer, vus_pr
from vetime_plugins.metrics.statistics import group_means, paired_bootstrap
from vetime_plugins.network.checkpoint import load_expectation
from vetime_plugins.network.preparation import column_periods, find_units
from vetime_plugins.network.surprise import Reader, expect, surprise
from vetime_plugins.series.inputs import as_series

Array = NDArray[np.float64]
METRICS = {"VUS-PR": vus_pr, "AUC-PR": lambda labels, scores, buffer: auc_pr(labels, scores)}
TEXTBOOK_BUFFER = 100
EXCESS = 1.5


class Labelled(NamedTuple):
    """A series, its labels, and from where on it is judged."""

    group: str
    name: str
    values: Array
    labels: NDArray[np.integer]
    train: int
    buffer: int


def read_data(folder: str, datasets: list[str] | None, max_steps: int) -> Iterator[Labelled]:
    """Yield the univariate series of a folder in the layout of TSB-AD."""
    for file in find_series(folder, datasets=datasets):
        one = read_series(file.path, dataset=file.dataset)
        judged = one.labels[one.train_length :]
        if one.values.shape[1] == 1 and len(one.values) <= max_steps and 0 < judged.sum() < len(judged):
            values = as_series(one.values).values[:, 0]
            yield Labelled(
                one.dataset, one.name, values, one.labels, one.train_length, find_buffer(one.values)
            )


def read_textbook(file: str) -> Iterator[Labelled]:
    """Yield the series of an .npz file with keys KIND.REST.x and KIND.REST.y."""
    with np.load(file) as found:
        for key in sorted(name[:-2] for name in found.files if name.endswith(".x")):
            values = found[key + ".x"].astype(np.float64).ravel()
            yield Labelled(key.split(".")[0], key, values, found[key + ".y"], 0, TEXTBOOK_BUFFER)


def find_evidence(pipeline: VETimePipeline, values: Array) -> tuple[Array, int]:
    """Return the margin of a pipeline with the bundled weights, and the period."""
    series = as_series(values)
    units = find_units(series, pipeline.config)
    return learned_margins(pipeline, units, series.values.shape)[:, 0], column_periods(series, units)[0]


def join(evidence: Array, found: Array) -> dict[str, Array]:
    """Return all scores of a series by name."""
    return {
        "evidence": evidence,
        "surprise": found,
        "+ surprise / 2": evidence + found / 2,
        "+ excess": evidence + np.maximum(found - EXCESS, 0.0),
    }


def measure(args: argparse.Namespace, series: Iterator[Labelled]) -> pd.DataFrame:
    """Return a row for each score and series."""
    reader = Reader(load_expectation(args.weights), bfloat16=args.bfloat16)
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    rows = []
    for one in series:
        judged = slice(one.train, None)
        evidence, period = find_evidence(pipeline, one.values)
        found = surprise(one.values, expect(reader, one.values, period), period)
        for name, scores in join(evidence, found).items():
            rows.append(
                {"score": name, "group": one.group, "series": one.name}
                | {key: take(one.labels[judged], scores[judged], one.buffer) for key, take in METRICS.items()}
            )
    return pd.DataFrame(rows)


def report(frame: pd.DataFrame) -> str:
    """Return a Markdown table: one line a score, VUS-PR by group last."""
    base = frame[frame["score"] == "evidence"].reset_index(drop=True)
    lines = []
    for name, rows in frame.groupby("score", sort=False):
        own = rows.reset_index(drop=True)
        line: dict[str, float | str | None] = {"score": str(name)}
        for metric in METRICS:
            line[metric] = group_means(own[metric], list(own["group"]))[1]
            same = name == "evidence"
            line[f"{metric} against evidence"] = (
                None if same else show(paired_bootstrap(own[metric], base[metric], list(own["group"])))
            )
        lines.append(line | group_means(own["VUS-PR"], list(own["group"]))[0])
    return to_markdown(pd.DataFrame(lines))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--data", help="folder of labelled series")
    parser.add_argument("--dataset", action="append", help="only these of its data sets")
    parser.add_argument("--textbook", help=".npz file of textbook series")
    parser.add_argument("--max-steps", type=int, default=25_000)
    parser.add_argument("--bfloat16", action="store_true", help="faster; the third digit differs")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    args = parser.parse_args()
    if not (args.data or args.textbook):
        parser.error("nothing to measure: give --data or --textbook")
    torch.set_num_threads(1)
    frames = []
    if args.data:
        frames.append(measure(args, read_data(args.data, args.dataset, args.max_steps)))
    if args.textbook:
        frames.append(measure(args, read_textbook(args.textbook)))
    for frame in frames:
        print(report(frame) + "\n", flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(frames).to_csv(args.out, index=False, float_format="%.6f")


if __name__ == "__main__":
    main()
