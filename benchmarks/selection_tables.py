"""Tabulate what `benchmarks/selection.py` measured.

    python benchmarks/selection_tables.py [benchmarks/results/selection]

For each measurement and set of candidates: VUS-PR x 100 of the selection, of other ways to choose, and of
each candidate taken always, by data set and in the mean over data sets; the regret against the best in
hindsight; and the difference of the selection to each (paired bootstrap, series drawn within data sets,
10,000 times, seed 0). Before it what the evidence tells: the correlation of each candidate's advantage over
the most experienced one with the true advantage. With --half the same of one half of the series alone: every
other of each data set, beginning with the first ("first") or the second ("second").
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import show, to_markdown

from vetime_plugins.metrics.statistics import paired_bootstrap
from vetime_plugins.selection import evidence
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES

METRIC = "VUS-PR"
SELECTED = "**selected**"
BEST = "best in hindsight, for each series"
TEXTS = ("dataset", "file", "among", "candidate", "status", "trials", "pointwise_trials")

Key = tuple[str, str]
Record = dict[str, Any]
Rows = dict[Key, list[Record]]  # the candidates of each series
Policies = dict[str, dict[Key, float]]


def main() -> None:
    """Print the tables of all measurements in a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("benchmarks/results/selection"))
    parser.add_argument("--half", choices=("first", "second"), help="of each data set, every other series")
    args = parser.parse_args()
    folder = args.folder
    if (folder / "experience.csv").exists():
        print(experience(read(folder / "experience.csv")[""]))
    for what in ("synthetic", "real", "multivariate"):
        if not (folder / f"{what}.csv").exists():
            continue
        for among, every in read(folder / f"{what}.csv").items():
            rows = every if args.half is None else half_of(every, args.half)
            print(f"## {what}, {among}: {len(rows)} series\n")
            print(told(rows))
            print(table(rows))


def half_of(rows: Rows, half: str) -> Rows:
    """Return every other series of each data set, in the order of their names."""
    chosen: Rows = {}
    for dataset in {dataset for dataset, _ in rows}:
        names = sorted(key for key in rows if key[0] == dataset)
        chosen |= {key: rows[key] for key in names[half == "second" :: 2]}
    return chosen


def read(path: Path) -> dict[str, Rows]:
    """Return the rows of a file by set of candidates, then by data set and file."""
    found: dict[str, Rows] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream):
            row: Record = {
                name: value if name in TEXTS else float(value or math.nan) for name, value in record.items()
            }
            rows = found.setdefault(record.get("among", ""), {})
            rows.setdefault((record["dataset"], record["file"]), []).append(row)
    return found


def experience(rows: Rows) -> str:
    """Return the mean of each candidate over the generated series, best first."""
    values: dict[str, list[float]] = {}
    for records in rows.values():
        for one in records:
            values.setdefault(one["candidate"], []).append(one[METRIC])
    means = sorted(((float(np.mean(found)), name) for name, found in values.items()), reverse=True)
    table = pd.DataFrame([{"candidate": name, f"mean {METRIC}": f"{value:.2f}"} for value, name in means])
    return f"## experience: {len(rows)} series\n\n{to_markdown(table)}\n"


def told(rows: Rows) -> str:
    """Return how the evidence on candidates, against the most experienced one, goes with the truth.

    The interval is a bootstrap over series. The true advantage is in the mean of VUS-PR and AUC-PR, or in
    VUS-PR where the other was not measured.
    """
    parts = []
    for records in rows.values():
        ran = [one for one in records if one["status"] == "OK" and one["trials"]]
        base = max(ran, key=lambda one: one["experience"])
        trials = trials_of(ran).mean(axis=0)
        found = np.stack([trials, agreement_of(ran), experience_of(ran), [truth(one) for one in ran]])
        at = ran.index(base)
        parts.append(np.delete(found - found[:, at : at + 1], at, axis=1))

    def correlations(chosen: Sequence[int] | NDArray[np.int_]) -> NDArray[np.float64]:
        return np.corrcoef(np.concatenate([parts[i] for i in chosen], axis=1))[-1, :-1]

    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(parts), len(parts)) for _ in range(2_000)]
    spread = np.nanquantile([correlations(draw) for draw in draws], [0.025, 0.975], axis=0)
    lines = [
        {"advantage in": name, "correlation with the true one": f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"}
        for name, value, low, high in zip(
            ("trials", "agreement", "experience"), correlations(range(len(parts))), *spread, strict=True
        )
    ]
    return to_markdown(pd.DataFrame(lines)) + "\n"


def truth(one: Record) -> float:
    """Return how well a candidate found the labelled anomalies."""
    return float(np.mean([one[name] for name in (METRIC, "AUC-PR") if name in one]))


def policies(rows: Rows) -> Policies:
    """Return VUS-PR on every series for each way to choose, and for each candidate taken always."""
    found: Policies = {}
    for key, records in rows.items():
        ran = [one for one in records if one["status"] == "OK"]

        def add(policy: str, value: float, key: Key = key) -> None:
            found.setdefault(policy, {})[key] = value

        def first(order: Callable[[Record], float], ran: list[Record] = ran) -> float:
            return float(max(ran, key=order)[METRIC])

        add(BEST, first(lambda one: one[METRIC]))
        add(SELECTED, first(lambda one: one["selected"]))
        add("first in the order of all evidence", first(lambda one: -one["rank"]))
        unknown = [{**one, "experience": math.nan} for one in ran]
        add("the same, were none of them known", first_by_borda(unknown))
        add("the same with the trials alone", first_by_borda(ran, 0.0, 0.0))
        add("the same with a quarter agreement, no experience", first_by_borda(ran, 0.25, 0.0))
        add("best mean in the trials", first(lambda one: one["detection"] + one.get("pointwise", 0.0)))
        add("most central", first(lambda one: one["agreement"]))
        add("most experienced", first(lambda one: one["experience"]))
        add("shrunk to one drawn by lot (expected)", shrunk_to_any(ran))
        add("drawn by lot (expected)", float(np.mean([one[METRIC] for one in ran])))
        for one in ran:
            add(f"always {one['candidate']}", one[METRIC])
    return {policy: values for policy, values in found.items() if len(values) == len(rows)}


def first_by_borda(
    ran: list[Record],
    agreement: float = evidence.AGREEMENT_SHARE,
    experience: float = evidence.EXPERIENCE_SHARE,
) -> float:
    """Return the metric of the first in an order with other weights; the trials have the rest."""
    known = experience_of(ran)
    ranks = evidence.aggregate_ranks(
        trials_of(ran), agreement_of(ran), known, agreement_share=agreement, experience_share=experience
    )
    return float(ran[int(np.argmin(ranks))][METRIC])


def shrunk_to_any(ran: list[Record]) -> float:
    """Return the mean over the candidates of what is taken if that candidate is the default."""
    known = trials_of(ran), agreement_of(ran), np.full(len(ran), math.nan)
    taken = [ran[int(np.argmax(evidence.expected_advantage(*known, default)))] for default in range(len(ran))]
    return float(np.mean([one[METRIC] for one in taken]))


def trials_of(ran: list[Record]) -> NDArray[np.float64]:
    """Return how well each candidate did in each trial, (N, K): the mean of what was measured of it."""
    kinds = [name for name in ("trials", "pointwise_trials") if name in ran[0]]
    found = [[[float(value) for value in one[name].split()] for one in ran] for name in kinds]
    return np.mean(found, axis=0).T.reshape(-1, len(ran))


def experience_of(ran: list[Record]) -> NDArray[np.float64]:
    """Return the experience with each candidate, (K,)."""
    return np.array([one["experience"] for one in ran])


def agreement_of(ran: list[Record]) -> NDArray[np.float64]:
    """Return the agreement of each candidate with the others, (K,)."""
    return np.array([one["agreement"] for one in ran])


def table(rows: Rows) -> str:
    """Return metric and regret of every policy, for each data set and in the mean over data sets."""
    found = policies(rows)
    datasets = sorted({dataset for dataset, _ in rows})
    counts = {name: sum(dataset == name for dataset, _ in rows) for name in datasets}

    def mean(values: dict[Key, float], dataset: str) -> float:
        return float(np.mean([value for key, value in values.items() if key[0] == dataset]))

    overall = np.mean([mean(found[BEST], name) for name in datasets])
    lines = []
    for policy, values in found.items():
        by_dataset = {f"{name} ({counts[name]})": mean(values, name) for name in datasets}
        average = float(np.mean(list(by_dataset.values())))
        chosen = [found[SELECTED][key] for key in values]
        gain = paired_bootstrap(chosen, list(values.values()), [dataset for dataset, _ in values])
        difference = "" if policy == SELECTED else show(gain)
        ends = {"mean": average, "regret": overall - average, "selected minus": difference}
        lines.append({"policy": policy, **by_dataset, **ends})
    records = [one for candidates in rows.values() for one in candidates]
    return "\n".join(
        [
            to_markdown(pd.DataFrame(lines)),
            "",
            f"Selected: {counted(one for one in records if one['selected'])}.",
            f"Failed: {counted(one for one in records if one['status'] != 'OK') or 'none'}.",
            "",
        ]
    )


def counted(records: Any) -> str:
    """Return how often each candidate is among some rows."""
    names = [one["candidate"] for one in records]
    return ", ".join(f"{name} {names.count(name)}" for name in DEFAULT_CANDIDATES if name in names)


if __name__ == "__main__":
    main()
