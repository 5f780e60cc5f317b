"""Choose rules of selection on generated and textbook series, and measure them once on others.

    python benchmarks/selection_rules.py [benchmarks/results/selection]

The rows are those of `benchmarks/selection.py`, without VETime among the candidates. Each rule has settings;
that with the best mean VUS-PR over `development` and `textbook` is kept, and measured on `synthetic` and
`real`. What it gains in development is told of families of series and kinds of anomaly that its setting was
not chosen on: each is left out in turn. Every figure is a difference to always taking the most experienced
candidate, in VUS-PR x 100, with a paired bootstrap (series drawn within data sets, 10,000 times, seed 0); in
brackets behind it on how many series the choice is another one.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from selection_tables import METRIC, Key, Record, agreement_of, experience_of, read, trials_of, truth
from tables import show, to_markdown

from vetime_plugins.metrics.statistics import paired_bootstrap
from vetime_plugins.selection.evidence import PSEUDO_TRIALS, aggregate_ranks

Matrix = NDArray[np.float64]
Choice = Callable[[list[Record]], int]  # from the evidence on the candidates to the place of one of them
Rule = Callable[[Sequence[list[Record]]], Choice]  # from series whose truth is known

BIASES = (0.0, -0.05, -0.1, -0.2)
SLOPES = (0.0, 0.25, 0.5, 1.0)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("benchmarks/results/selection"))
    folder = parser.parse_args().folder
    sets = {name: others(folder / f"{name}.csv") for name in ("development", "textbook", "synthetic", "real")}
    averaged = read(folder / "averages.csv")[""]
    lines = []
    for name, rule in RULES.items():
        line = {"rule": name}
        found = left_out(rule, sets["development"] | sets["textbook"])
        frozen = rule([*sets["development"].values(), *sets["textbook"].values()])
        for part, rows in sets.items():
            chosen = {key: found[key] if key in found else frozen(one) for key, one in rows.items()}
            values = {key: float(one[chosen[key]][METRIC]) for key, one in rows.items()}
            line[heading(part, rows)] = (
                f"{gain(values, rows)} ({sum(chosen[key] != known(rows[key]) for key in rows)})"
            )
        lines.append(line)
    for place, names in enumerate(one["candidate"] for one in next(iter(averaged.values()))):
        line = {"rule": f"average of {names}"}
        for part, rows in sets.items():
            values = {key: float(averaged[key][place][METRIC]) for key in rows}
            line[heading(part, rows)] = gain(values, rows)
        lines.append(line)
    best = {"rule": "best in hindsight"}
    for part, rows in sets.items():
        values = {key: max(float(one[METRIC]) for one in records) for key, records in rows.items()}
        best[heading(part, rows)] = gain(values, rows)
    print(to_markdown(pd.DataFrame([*lines, best])))


def others(path: Path) -> dict[Key, list[Record]]:
    """Return what is known of the candidates that ran, for each series; without VETime among them."""
    return {
        key: [one for one in records if one["status"] == "OK"]
        for key, records in read(path)["others"].items()
    }


def heading(part: str, rows: dict[Key, list[Record]]) -> str:
    """Return the heading of a column."""
    return f"{part} ({len(rows)})"


def known(records: list[Record]) -> int:
    """Return the place of the most experienced candidate."""
    return int(np.argmax(experience_of(records)))


def gain(values: dict[Key, float], rows: dict[Key, list[Record]]) -> str:
    """Return how much better values are than the most experienced candidate's, with the interval."""
    usual = [float(rows[key][known(rows[key])][METRIC]) for key in values]
    return show(paired_bootstrap(list(values.values()), usual, [dataset for dataset, _ in values]))


def left_out(rule: Rule, rows: dict[Key, list[Record]]) -> dict[Key, int]:
    """Return what the rule takes on each series if it learns from other families and kinds alone."""
    found = {}
    for group in sorted({group_of(key) for key in rows}):
        choose = rule([records for key, records in rows.items() if group_of(key) != group])
        found |= {key: choose(records) for key, records in rows.items() if group_of(key) == group}
    return found


def group_of(key: Key) -> str:
    """Return the family of a generated series, or the kind of a textbook one."""
    dataset, name = key
    return name.rpartition("-")[0] if dataset == "synthetic" else dataset


def best_of(choices: Iterable[Choice]) -> Rule:
    """Return the rule that keeps the setting with the best mean; the first of equals, so the plainest."""
    every = list(choices)

    def rule(series: Sequence[list[Record]]) -> Choice:
        means = [np.mean([one[choose(one)][METRIC] for one in series]) for choose in every]
        return every[int(np.argmax(np.round(means, 9)))]

    return rule


def shrunk(bias: float, of_trials: float, of_agreement: float) -> Choice:
    """Return the choice of `evidence.expected_advantage`, with other numbers in it."""

    def choose(records: list[Record]) -> int:
        base, found, agreed = known(records), trials_of(records), agreement_of(records)
        ahead = experience_of(records) - experience_of(records)[base]
        mean = found.mean(axis=0) if len(found) else np.zeros(len(records))
        expected = np.minimum(ahead, bias) + of_agreement * (agreed - agreed[base])
        expected += of_trials * len(found) / (len(found) + PSEUDO_TRIALS) * (mean - mean[base])
        expected[base] = 0.0
        return int(np.argmax(expected))

    return choose


def ranked(of_agreement: float, of_experience: float) -> Choice:
    """Return the choice of the first in a Borda count with these weights; the trials have the rest."""

    def choose(records: list[Record]) -> int:
        ranks = aggregate_ranks(
            trials_of(records),
            agreement_of(records),
            experience_of(records),
            agreement_share=of_agreement,
            experience_share=of_experience,
        )
        return int(np.argmin(ranks))

    return choose


def least_squares(series: Sequence[list[Record]]) -> Choice:
    """Return the choice by the advantage that least squares expect from trials, agreement and experience."""
    inputs = np.concatenate([evidence_of(one) for one in series])
    truths = np.concatenate([[truth(row) - truth(one[known(one)]) for row in one] for one in series])
    weights = np.linalg.lstsq(inputs, truths, rcond=None)[0]

    def choose(records: list[Record]) -> int:
        expected = (evidence_of(records) @ weights).round(9)
        return int(np.argmax(expected)) if expected.max() > 0 else known(records)

    return choose


def evidence_of(records: list[Record]) -> Matrix:
    """Return what each candidate has over the most experienced one, (K, 4); all 0 of that one itself.

    In the trials, in agreement and in experience, and 1: what another candidate has without any of them.
    """
    found = trials_of(records)
    mean = found.mean(axis=0) if len(found) else np.zeros(len(records))
    parts = np.stack([mean, agreement_of(records), experience_of(records), np.ones(len(records))], axis=1)
    base = known(records)
    parts[:, :3] -= parts[base, :3]
    parts[base] = 0.0
    return parts


RULES: dict[str, Rule] = {
    "shrunk to the most experienced": best_of(
        itertools.starmap(shrunk, itertools.product((-math.inf, *BIASES[::-1]), SLOPES, SLOPES))
    ),
    "ranks, weighted": best_of(
        ranked(agreement, experience)
        for experience, agreement in itertools.product(SHARES[::-1], SHARES)
        if agreement + experience <= 1
    ),
    "least squares": least_squares,
}


if __name__ == "__main__":
    main()
