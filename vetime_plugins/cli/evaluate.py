"""``vetime evaluate``: run detectors over labelled data sets, tabulate and compare."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections.abc import Sequence
from typing import Any, Literal

from vetime_plugins import detectors
from vetime_plugins.detectors.baselines import BASELINES
from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.leaderboard.evaluation import (
    Detector,
    PairedDifference,
    Summary,
    evaluate_folder,
    paired_bootstrap,
    summarise,
)
from vetime_plugins.leaderboard.rows import Row, RowFile
from vetime_plugins.metrics import METRIC_NAMES, check_metric_names

__all__ = ["add_arguments", "load_detector", "run"]

DESCRIPTION = """\
Run detectors over a folder of labelled series and measure them on the part after the train points.
Files are named and laid out as in the TSB-AD benchmark; every value is a mean over the series of a data set,
times 100, and the last line the mean over data sets."""

_SHOWN = ("VUS-PR", "VUS-ROC", "AUC-PR", "AUC-ROC", "Standard-F1", "Affiliation-F1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime evaluate``."""
    parser.description = DESCRIPTION
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of series, or of data sets")
    parser.add_argument(
        "--detector",
        action="append",
        metavar="NAME",
        help=(
            f"vetime, {', '.join(BASELINES)}, any other detector of the leaderboard, or "
            "package.module:function, called with a series and returning its scores; may be repeated "
            "(default: vetime)"
        ),
    )
    parser.add_argument(
        "--dataset", action="append", metavar="NAME", help="only this data set; may be repeated"
    )
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help=f"only this metric; may be repeated: {', '.join(METRIC_NAMES)}",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="CSV with one row a series; what it holds already is not run again"
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="compare every detector with this one, run now or in --out, by a paired bootstrap",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    group = parser.add_argument_group("options of the detector vetime")
    group.add_argument("--weights", default="small", help="bundled name or folder (default: %(default)s)")
    group.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: %(default)s)"
    )
    group.add_argument("--readout", choices=("point", "window"), help="default: the weights' own")


def run(args: argparse.Namespace) -> int:
    """Evaluate the detectors that the arguments name, and report.

    Parameters
    ----------
    args : argparse.Namespace
        See `add_arguments`.

    Returns
    -------
    int
        0, or 3 where a detector failed on some series.
    """
    metrics = check_metric_names(args.metric)
    results: dict[str, list[Row]] = {}
    for choice in dict.fromkeys(args.detector or ["vetime"]):
        name, detector = load_detector(choice, weights=args.weights, device=args.device, readout=args.readout)
        results[name] = evaluate_folder(
            args.data,
            detector,
            name=name,
            datasets=args.dataset,
            metrics=metrics,
            out=args.out,
            progress=None if args.quiet else _show,
        )
    summaries = {name: summarise(rows) for name, rows in results.items()}
    differences = _compare(args, metrics, results) if args.against else {}
    if args.json:
        print(json.dumps(_as_json(summaries, differences), allow_nan=False))
    else:
        _report(summaries, differences, [name for name in _SHOWN if name in metrics] or list(metrics))
    return 3 if any(row.failed for rows in results.values() for row in rows) else 0


def load_detector(
    choice: str,
    *,
    weights: str = "small",
    device: str = "auto",
    readout: Literal["point", "window"] | None = None,
) -> tuple[str, Detector | detectors.Detector]:
    """Return the name and the function of a detector.

    Parameters
    ----------
    choice : str
        "vetime", the name of a baseline or of another detector of the leaderboard, or
        ``package.module:function``.
    weights, device, readout : str
        For "vetime"; see `VETimePipeline`.

    Returns
    -------
    name : str
        What to call it in results; it tells weights and read-out apart.
    detector : callable, or detector of the leaderboard
        From a series (T,) or (T, C) to its scores (T,).

    Raises
    ------
    InputError
        If there is no such detector.
    """
    if choice in BASELINES:
        return choice, BASELINES[choice]
    if choice == "vetime":
        from vetime_plugins.pipeline import cached_pipeline

        pipeline = cached_pipeline(weights, device=device)
        name = "-".join(part for part in ("vetime", weights, readout) if part)
        return name, lambda series: pipeline.score(series, readout=readout)
    if ":" not in choice:
        return choice, detectors.get(choice)
    module, _, function = choice.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, ValueError) as error:  # ValueError: no module name at all
        raise MissingDependencyError(f"cannot import the detector {choice}: {error}") from error
    except AttributeError as error:
        raise InputError(f"module {module} has no {function}") from error
    if not callable(found):
        raise InputError(
            f"{choice} is not a function from a series to its scores, but {type(found).__name__}"
        )
    return choice, found


def _show(finished: int, total: int, row: Row) -> None:
    metric = next((name for name in _SHOWN if name in row.metrics), next(iter(row.metrics)))
    state = row.note if row.failed else f"{metric} {row.metrics[metric]:.3f} in {row.seconds:.1f} s"
    print(f"[{finished}/{total}] {row.detector} {row.dataset}/{row.file}: {state}", file=sys.stderr)


def _compare(
    args: argparse.Namespace, metrics: Sequence[str], results: dict[str, list[Row]]
) -> dict[str, dict[str, PairedDifference]]:
    """Return, for every detector but the one compared with, the difference in every metric."""
    other = results.get(args.against)
    keys = {row.key[1:] for rows in results.values() for row in rows}
    if other is None and args.out:
        stored = RowFile(args.out, metrics).read()
        other = [row for row in stored if row.detector == args.against and row.key[1:] in keys]
    if not other:
        raise InputError(
            f"no results of {args.against!r} to compare with; run it too, or name its file with --out"
        )
    return {
        name: {metric: paired_bootstrap(rows, other, metric=metric) for metric in metrics}
        for name, rows in results.items()
        if name != args.against
    }


def _report(
    summaries: dict[str, Summary], differences: dict[str, dict[str, PairedDifference]], shown: list[str]
) -> None:
    for name, summary in summaries.items():
        print(f"{name}\n\n{summary.to_markdown(shown)}\n")
        undefined = sum(summary.n_undefined.values())
        if undefined:
            print(f"{undefined} series without an anomaly, or without anything else, are left out.\n")
        for metric in shown:
            if name in differences:
                found = differences[name][metric]
                low, high = 100 * found.low, 100 * found.high
                print(
                    f"{metric}: {100 * found.difference:+.1f} [{low:+.1f}, {high:+.1f}] (95 %, paired "
                    f"bootstrap over {found.n_series} series of {found.n_datasets} data sets)"
                )


def _as_json(
    summaries: dict[str, Summary], differences: dict[str, dict[str, PairedDifference]]
) -> dict[str, Any]:
    def clean(values: dict[str, float]) -> dict[str, float | None]:
        return {name: None if math.isnan(value) else value for name, value in values.items()}

    return {
        name: {
            "mean": clean(summary.mean),
            "datasets": {dataset: clean(values) for dataset, values in summary.datasets.items()},
            "n_series": summary.n_series,
            "n_failed": summary.n_failed,
            "n_undefined": summary.n_undefined,
            "difference": {metric: vars(found) for metric, found in differences.get(name, {}).items()},
        }
        for name, summary in summaries.items()
    }
