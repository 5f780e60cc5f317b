"""``vetime score``: scores, flags and, with labels, metrics of a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vetime_plugins.cli import inputs, judging, long, tables
from vetime_plugins.cli.columns import LabelledSeries
from vetime_plugins.cli.spans import anomalous_spans
from vetime_plugins.errors import InputError

DESCRIPTION = """\
Score a table, one row for each time step: 0 is normal, 1 is anomalous. The result is a summary on the
screen; with --out every row's score and flag are written, with --labels the scores are also judged."""

_SHOWN = 10  # incidents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime score``."""
    parser.description = DESCRIPTION
    inputs.add_table_arguments(parser)
    inputs.add_model_arguments(parser)
    inputs.add_threshold_arguments(parser)
    group = parser.add_argument_group("many series")
    group.add_argument(
        "--id",
        metavar="NAME",
        help="the column that says which series a row belongs to; each is sorted by --time, then scored "
        "and flagged by itself",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--out", metavar="FILE", help="write time, score and is_anomaly here (.csv or .parquet; - is stdout)"
    )
    group.add_argument(
        "--incidents",
        metavar="FILE",
        help="write the table of incidents here (.csv or .parquet; - is stdout)",
    )
    group.add_argument(
        "--plot", metavar="FILE", help="draw the series and its scores here (.png, .svg, .pdf)"
    )
    group.add_argument(
        "--json", action="store_true", help="print the result as JSON, with all scores if there is no --out"
    )


def run(args: argparse.Namespace) -> int:
    """Score the file that the arguments name, and report."""
    inputs.check_output(args.out, as_json=args.json)
    inputs.check_output(args.incidents, as_json=args.json)
    if args.out == args.incidents == tables.STDIN:
        raise InputError("--out - and --incidents - both want standard output; give one of them a file")
    inputs.check_picture(args.plot)
    if args.id is not None:
        return long.run(args)
    series = inputs.load_series(args)
    scored = inputs.score_series(args, series)
    flagged = scored.scores > scored.threshold
    if args.plot:
        inputs.draw(args.plot, series, scored, title=Path(args.file).name)
    if args.out:
        inputs.write_scores(args.out, series, scored.scores, flagged)
    if args.incidents:
        tables.write_columns(args.incidents, inputs.incident_columns(scored.incidents))
    spans = anomalous_spans(flagged, scored.scores, series.time)
    judged = judging.judge_both(series, scored.scores, flagged)
    if args.json:
        result: dict[str, Any] = {
            "file": args.file,
            "rows": len(scored.scores),
            "columns": list(series.names),
            "weights": args.weights,
            "seconds": round(scored.seconds, 3),
            "threshold": {"rule": args.threshold, "value": scored.threshold},
            "anomalous_rows": int(flagged.sum()),
            "incidents": scored.incidents.as_dicts(),
            "spans": [span.as_dict() for span in spans],
            "metrics": judged and judged.metrics,
            "metrics_at_threshold": judged and judged.at_threshold,
            "out": args.out,
            "incidents_out": args.incidents,
            "plot": args.plot,
        }
        if not args.out:
            result["scores"] = scored.scores.tolist()
        print(json.dumps(result, allow_nan=False))
    else:
        stream = sys.stderr if tables.STDIN in (args.out, args.incidents) else sys.stdout
        for line in _report(args, series, scored, judged):
            print(line, file=stream)
    return 0


def _report(
    args: argparse.Namespace,
    series: LabelledSeries,
    scored: inputs.Scored,
    judged: judging.Judgement | None,
) -> Iterator[str]:
    """Yield the lines for a person."""
    rows = len(scored.scores)
    anomalous = int((scored.scores > scored.threshold).sum())
    incidents = scored.incidents
    yield f"{args.file}: {rows:,} rows of {', '.join(series.names[:8])}{', ...' * (len(series.names) > 8)}"
    speed = rows / max(scored.seconds, 1e-9)
    yield f"scored with weights {args.weights!r} in {scored.seconds:.2f} s ({speed:,.0f} rows/s)"
    rule = "given" if isinstance(args.threshold, float) else args.threshold
    yield (
        f"threshold {scored.threshold:.6g} ({rule}): {anomalous:,} anomalous rows "
        f"({anomalous / rows:.1%}) in {len(incidents):,} incidents"
    )
    if not anomalous:
        yield f"  no row is above it; the highest score is {scored.scores.max():.6g}"
    for line in incidents.lines(_SHOWN) if len(incidents) else ():
        yield f"  {line}"
    if len(incidents) > _SHOWN:
        yield f"  ... and {len(incidents) - _SHOWN:,} more that are less severe"
    if judged is not None:
        yield f"against the labels in {args.labels!r}, over all thresholds:"
        yield from judging.metric_lines(judged, f"{scored.threshold:.6g}")
    elif series.labels is not None:
        yield f"the labels in {args.labels!r} are all {series.labels[0]}: no metric is defined"
    for what, path in (("scores", args.out), ("incidents", args.incidents), ("picture", args.plot)):
        if path and path != tables.STDIN:
            yield f"{what}: {path}"
