"""``vetime select``: which detector suits a series, without labels, and its scores."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

from vetime_plugins._progress import TerminalBar
from vetime_plugins.cli import inputs, judging, tables

DESCRIPTION = """\
Rank detectors on a table, one row for each time step, without labels: by the synthetic anomalies that they
find in copies of the series, and by how far they agree. VETime wins where the evidence is weak. The result is
the ranking with its reasons; with --out the winner's score and flag of every row are written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime select``."""
    parser.description = DESCRIPTION
    inputs.add_table_arguments(parser)
    group = parser.add_argument_group("selection")
    group.add_argument(
        "--candidate",
        action="append",
        metavar="NAME",
        help="vetime or a detector of the leaderboard; may be repeated (default: a fast selection)",
    )
    group.add_argument(
        "--default",
        metavar="NAME",
        help="wins where the evidence is weak (default: vetime if it is compared, else the most experienced)",
    )
    group.add_argument(
        "--budget",
        type=_budget,
        default=60.0,
        metavar="SECONDS",
        help="time for everything, or none for no limit: then the choice does not depend on the machine "
        "(default: %(default)g)",
    )
    group.add_argument(
        "--trials",
        type=int,
        default=8,
        metavar="N",
        help="copies with synthetic anomalies (default: %(default)s)",
    )
    group.add_argument("--seed", type=int, default=0, help="of the anomalies (default: %(default)s)")
    inputs.add_weights_arguments(group, "of vetime: ")
    inputs.add_threshold_arguments(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out",
        metavar="FILE",
        help="write time, score and is_anomaly by the winner here (.csv or .parquet; - is stdout)",
    )
    group.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Select a detector for the file that the arguments name, and report."""
    inputs.check_output(args.out, as_json=args.json)
    series = inputs.load_series(args)
    from vetime_plugins.selection import select_detector

    with TerminalBar("", bar_format="{percentage:3.0f} % {desc}") as bar:
        selection = select_detector(
            series.values,
            args.candidate,
            budget=args.budget,
            n_trials=args.trials,
            default=args.default,
            threshold=args.threshold,
            contamination=args.contamination,
            weights=args.weights,
            device=args.device,
            random_state=args.seed,
            progress=lambda what, done: bar(round(1000 * done), 1000, what[:70]),
        )
    scores, threshold = selection.detector.decision_scores_, float(selection.detector.threshold_)
    flagged = scores > threshold
    if args.out:
        inputs.write_scores(args.out, series, scores, flagged)
    judged = judging.judge(series, scores, ["VUS-PR", "AUC-PR", "Exact-Peak"])
    if args.json:
        result: dict[str, Any] = {
            "file": args.file,
            "rows": len(scores),
            "columns": list(series.names),
            **selection.as_dict(),
            "threshold": {"rule": args.threshold, "value": threshold},
            "anomalous_rows": int(flagged.sum()),
            "metrics": judged,
            "out": args.out,
        }
        print(json.dumps(result, allow_nan=False))
        return 0
    stream = sys.stderr if args.out == tables.STDIN else sys.stdout
    print(selection.to_text(), file=stream)
    print(
        f"\nthreshold {threshold:.4g}: {int(flagged.sum()):,} of {len(scores):,} rows are anomalous; "
        f"{selection.seconds:.1f} s",
        file=stream,
    )
    if judged is not None:
        values = ", ".join(f"{name} {judging.show_metric(value)}" for name, value in judged.items())
        print(
            f"against the labels in {args.labels!r}, which the selection did not see: {values}", file=stream
        )
    if args.out and args.out != tables.STDIN:
        print(f"scores: {args.out}", file=stream)
    return 0


def _budget(text: str) -> float | None:
    if text.lower() == "none":
        return None
    seconds = tables.to_float(text)
    if seconds is None or not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"budget must be a number of seconds above 0, or none, got {text!r}")
    return seconds
