"""Compare how far the learned correction may move scores; calibrate the scores on synthetic series.

    python benchmarks/choose_correction.py WEIGHTS --data ../shared/data [--every 1] [--datasets NAB UCR ...]
    python benchmarks/choose_correction.py WEIGHTS --set 0.25 --out vetime_plugins/weights/small

The first form prints VUS-PR and AUC-PR (x 100, mean over data sets) on labelled development series, at
several corrections and both readouts. Margins are linear in the correction, so each series is scored once.
The second writes the weights with the chosen correction, and with the scale and offset of the margin that
minimise the cross-entropy on synthetic series: they make scores probabilities and change no order.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from vetime_plugins import VETimePipeline
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.metrics import auc_pr, find_buffer, vus_pr
from vetime_plugins.network.checkpoint import load_checkpoint, save_checkpoint
from vetime_plugins.network.pooling import pool_margins
from vetime_plugins.network.preparation import Unit, column_periods, cut, find_units
from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.readout import READOUTS, read_out
from vetime_plugins.synthesis import generate

CORRECTIONS = (0.0, 0.1, 0.25, 0.5, 1.0)


def at_full_strength(weights: str | Path) -> tuple[VETimePipeline, dict[str, Any]]:
    """Return a pipeline whose margins are as trained, neither held back nor calibrated, and its record."""
    model, record = load_checkpoint(weights)
    plain = dataclasses.replace(model.config, correction=1.0, margin_scale=1.0, margin_offset=0.0)
    raw = type(model)(plain)
    raw.load_state_dict(model.state_dict())
    return VETimePipeline(raw, str(weights), next(raw.parameters()).device), record


def novelty_margins(units: list[Unit], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return what the margin starts from (T, C) of a prepared series, -inf for constant variables.

    The evidence of the retrieval expert, or the novelty alone where the configuration asks for no more.
    """
    result = np.full(shape, -np.inf)
    for unit, columns in units:
        assert unit.start is not None
        result[:, columns] = unit.start.alone[: shape[0]].double().numpy()
    return result


def learned_margins(
    pipeline: VETimePipeline, units: list[Unit], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the margin (T, C) of a prepared series, -inf for constant variables."""
    result, p = np.full(shape, -np.inf), pipeline.config.patch_size
    for group, output in pipeline._reader.run(cut(units, pipeline.config)):
        for margin, (chunk, columns) in zip(output.margins(), group, strict=True):
            steps = slice(chunk.start * p, min(chunk.stop * p, len(result)))
            result[steps, columns] = margin[:, : steps.stop - steps.start].T
    return result


def margins(
    pipeline: VETimePipeline, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return novelty and learned margin, both (T, C), and the first variable's period."""
    series = as_series(values)
    units, shape = find_units(series, pipeline.config), series.values.shape
    novelty = novelty_margins(units, shape)
    return novelty, learned_margins(pipeline, units, shape), column_periods(series, units)[0]


def mix(novelty: NDArray[np.float64], learned: NDArray[np.float64], correction: float) -> NDArray[np.float64]:
    """Return margins (T, C) at a correction; constant variables keep -inf."""
    read = np.isfinite(learned)
    return np.where(
        read, np.where(read, novelty, 0) * (1 - correction) + np.where(read, learned, 0) * correction, -np.inf
    )


def compare(pipeline: VETimePipeline, data: str, datasets: list[str] | None, every: int) -> None:
    """Print the table of corrections x readouts."""
    results: dict[tuple[str, float], dict[str, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for file in find_series(data, datasets=datasets)[::every]:
        series = read_series(file.path, dataset=file.dataset)
        labels = series.labels[series.train_length :]
        if labels.min() == labels.max():
            continue
        buffer = find_buffer(series.values)
        novelty, learned, period = margins(pipeline, series.values)
        for correction in CORRECTIONS:
            pooled = pool_margins(mix(novelty, learned, correction), pipeline.config.variable_pooling)
            for readout in READOUTS:
                scores = read_out(pooled, readout, [period])[series.train_length :]
                results[readout, correction][file.dataset].append(
                    (vus_pr(labels, scores, buffer), auc_pr(labels, scores))
                )
    names = sorted({name for table in results.values() for name in table})
    print("| readout | correction | VUS-PR | AUC-PR | " + " | ".join(names) + " |")
    print("|---" * (4 + len(names)) + "|")
    for (readout, correction), table in sorted(results.items()):
        means = {name: 100 * np.mean(table[name], axis=0) for name in names}
        overall = np.mean(list(means.values()), axis=0)
        cells = " | ".join(f"{means[name][0]:.1f}" for name in names)
        print(f"| {readout} | {correction} | {overall[0]:.1f} | {overall[1]:.1f} | {cells} |")


def calibrate(pipeline: VETimePipeline, correction: float, n_series: int = 200) -> tuple[float, float]:
    """Return scale and offset of the margin by logistic regression on fresh synthetic series."""
    rng = np.random.default_rng([2026, 11])
    found, truth = [], []
    for seed in rng.integers(2**62, 2**63 - 1, size=n_series):
        one = generate(int(np.exp(rng.uniform(np.log(500), np.log(5000)))), 1, seed=int(seed))
        novelty, learned, _ = margins(pipeline, one.values)
        found.append(mix(novelty, learned, correction)[:, 0])
        truth.append(one.labels)
    return fit_logistic(np.concatenate(found), np.concatenate(truth))


def fit_logistic(margin: NDArray[np.float64], label: NDArray[np.integer]) -> tuple[float, float]:
    """Return scale and offset that make margins (n,) log-odds of labels; margins of -inf do not count.

    Raises
    ------
    ValueError
        If the labels are all alike, or no margin of one label lies above one of the other: the likelihood has
        no maximum then.
    """
    margin, truth = margin[np.isfinite(margin)], label[np.isfinite(margin)].astype(float)
    low, high = margin[truth == 0], margin[truth == 1]
    if not len(low) or not len(high) or low.max() < high.min() or high.max() < low.min():
        raise ValueError(f"{len(margin)} margins that a threshold parts, or with labels of one kind")
    middle, spread = margin.mean(), margin.std()
    x = np.stack([(margin - middle) / spread, np.ones(len(margin))], axis=1)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ weights
        return float(np.mean(np.logaddexp(0, z) - truth * z)), x.T @ (expit(z) - truth) / len(x)

    # Of both labels there are few or many: starting where their share is right saves steps.
    share = truth.mean()
    fit = minimize(loss, np.array([1.0, np.log(share / (1 - share))]), jac=True, method="BFGS")
    scale = float(fit.x[0] / spread)
    return scale, float(fit.x[1] - scale * middle)


def main() -> None:
    """Compare, or set and calibrate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights")
    parser.add_argument("--data")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every n-th series only")
    parser.add_argument("--set", type=float, help="correction to write")
    parser.add_argument("--out")
    args = parser.parse_args()
    pipeline, record = at_full_strength(args.weights)
    if args.data:
        compare(pipeline, args.data, args.datasets, args.every)
    if args.set is not None:
        scale, offset = calibrate(pipeline, args.set)
        config = dataclasses.replace(
            pipeline.config, correction=args.set, margin_scale=scale, margin_offset=offset
        )
        facts = {k: v for k, v in record.items() if k not in ("format", "config", "sha256")}
        print(
            save_checkpoint(args.out, config, pipeline.model.state_dict(), **facts),
            f"scale {scale:.4f} offset {offset:.4f}",
        )


if __name__ == "__main__":
    main()
