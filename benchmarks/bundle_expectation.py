"""Make a weights folder of a training run of the expectation network, and calibrate its scores.

    python benchmarks/bundle_expectation.py RUN OUT

RUN is the folder of `python -m vetime_plugins.training.expectation`, ended or not: the averaged weights of
its last state are taken. The last linear step of the margin, which makes scores probabilities and changes no
order, is fitted by logistic regression on 300 fresh synthetic series.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from choose_correction import fit_logistic

from vetime_plugins._validation import validate
from vetime_plugins.network.checkpoint import save_checkpoint
from vetime_plugins.network.expectation import ExpectationNetwork
from vetime_plugins.network.surprise import Reader, find_margins
from vetime_plugins.series.inputs import as_series
from vetime_plugins.synthesis import generate
from vetime_plugins.training.expectation import ExpectationTraining

N_SERIES = 300


def calibrate(reader: Reader) -> tuple[float, float]:
    """Return scale and offset of the margin."""
    rng = np.random.default_rng([2026, 11])
    margins, labels = [], []
    for seed in rng.integers(2**62, 2**63 - 1, size=N_SERIES):
        one = generate(int(np.exp(rng.uniform(np.log(500), np.log(5000)))), 1, seed=int(seed))
        margins.append(find_margins(reader, as_series(one.values))[0][:, 0])
        labels.append(one.labels)
    return fit_logistic(np.concatenate(margins), np.concatenate(labels))


def main() -> None:
    """Read the state, calibrate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = args.run / "training.json"
    training = validate(ExpectationTraining, json.loads(file.read_text(encoding="utf-8")), str(file))
    state = torch.load(args.run / "state.pt", weights_only=True)
    network = ExpectationNetwork(training.model).eval()
    network.load_state_dict(state["average"])
    scale, offset = calibrate(Reader(network))
    config = replace(training.model, margin_scale=scale, margin_offset=offset)
    points = state["step"] * training.windows_per_batch * training.model.window
    print(save_checkpoint(args.out, config, state["average"], points=points, likelihood=training.likelihood))
    print(f"{points:,} points, scale {scale:.4f}, offset {offset:.4f}")


if __name__ == "__main__":
    main()
